"""Encodes that are bounded by bytes, and what is stored at which precision."""

from __future__ import annotations

import re
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcodec import LimitExceeded, PoDD, UsageError, encode, info, load
from ddcodec.codecs.podd import pack
from ddcodec.codecs.podd.budget import Expected, fit_bytes, plan_in_bytes, why_free
from ddcodec.codecs.podd.judging import held_out
from ddcodec.codecs.podd.outer_loop import Distiller
from ddcodec.codecs.podd.plan import Plan
from ddcodec.codecs.podd.planning import settled
from ddcodec.codecs.podd.stored import StoredBits
from ddcodec.codecs.shared.free_bytes import left_free
from ddcodec.format import Storage, read, to_bytes
from ddcodec.sources import Source, Split
from tests.helpers.plans import check_file, noise_source, plan_of, request_for
from tests.helpers.reporters import Notes

READER = runpy.run_path(str(Path(__file__).parents[3] / "examples" / "read_ddset.py"))


@pytest.fixture(scope="module")
def colours() -> Source:
    """Three classes of colour images of 16 x 16 pixels, each with a falling spectrum."""
    random = np.random.default_rng(4)
    labels = np.arange(90) % 3
    smooth = random.normal(size=(3, 4, 4, 3)).repeat(4, 1).repeat(4, 2)[labels]
    noisy = smooth + random.normal(0, 0.4, (90, 16, 16, 3))
    images = (128 + 40 * noisy).clip(0, 255).astype(np.uint8)
    split = Split(images, labels.astype(np.int64))
    return Source("colours", ("a", "b", "c"), {"train": lambda: split, "test": lambda: split})


@pytest.mark.parametrize("total", [1350, 1500, 2000])
def test_a_budget_of_bytes_is_kept_and_used(total: int, digits: Source, tmp_path: Path) -> None:
    out = tmp_path / "x.ddset"
    encode(digits, total_bytes=total, out=out, steps=12)
    assert 0.85 * total <= out.stat().st_size <= total
    assert info(out)["poster"]["bits"] == 3
    few = " --expand 1.5" if total < 2000 else ""
    assert f"--bytes {total}{few} --steps 12" in info(out)["provenance"]["command"]


@pytest.mark.parametrize(("total", "side"), [(4999, 3), (5000, 5)])
def test_few_bytes_have_a_small_kernel(total: int, side: int, colours: Source) -> None:
    request = request_for(colours)
    options = settled(PoDD(total_bytes=total, profile="quick"), request.device)
    assert plan_in_bytes(request, options, total).kernel == side
    assert plan_of(colours, ipc=0.5).kernel == 5


def test_a_file_has_the_kernel_of_its_plan(colours: Source, tmp_path: Path) -> None:
    out = tmp_path / "x.ddset"
    encode(colours, total_bytes=3000, out=out, steps=4)
    assert info(out)["image"]["preprocessing"]["size"] == 3
    assert 0.8 * 3000 <= out.stat().st_size <= 3000


def test_more_bytes_make_a_larger_poster_and_fewer_bits_too(digits: Source, tmp_path: Path) -> None:
    pixels = []
    for total, quality in ((1500, "bits=6"), (1500, "bits=3"), (1700, "bits=3")):
        out = tmp_path / f"{total}{quality}.ddset"
        encode(digits, total_bytes=total, quality=quality, out=out, steps=2)
        pixels.append(info(out)["pixels"])
    assert pixels == sorted(pixels)
    assert pixels[0] < pixels[1] < pixels[2]


def test_header_and_manifest_of_a_small_file_stay_short(digits: Source, tmp_path: Path) -> None:
    """A poster of 100 bytes must not carry four kilobytes of JSON."""
    out = tmp_path / "x.ddset"
    for quality in ("small", "high"):
        encode(digits, ipc=0.4, out=out, steps=2, quality=quality)
        assert info(out)["bytes"]["header"] <= 1200
        out.unlink()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"total_bytes": 300}, "`total_bytes`=300 is too few: the smallest file .* takes about 1"),
        ({"total_bytes": 3000, "ipc": 0.5}, "give `ipc` or `total_bytes`, not both"),
        ({}, "give `ipc`, or `total_bytes`"),
        ({"total_bytes": 3000, "codec": "ppodd"}, "belongs to the codecs podd and lic; ppodd has"),
    ],
)
def test_a_budget_that_cannot_be_is_refused_before_the_work(
    arguments: dict[str, Any], words: str, digits: Source, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        encode(digits, out=tmp_path / "x.ddset", steps=2, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_where_the_estimate_fell_short_levels_are_widened(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "x.ddset"
    encode(digits, ipc=0.9, out=out, steps=4, quality="high")
    file = read(out)
    storage = {"poster": StoredBits().poster, "labels": StoredBits().labels}
    manifest = replace(file.manifest, tensors={})
    size = out.stat().st_size
    for total in (size, size - 30, size - 100):
        found = pack.coarse_enough(manifest, file.arrays, storage, total)
        data, _ = to_bytes(manifest, file.arrays, found)
        assert total - 25 <= len(data) <= total
    monkeypatch.setattr(pack, "MOST_COARSE", 1.1)
    with pytest.raises(LimitExceeded, match="use fewer bits"):
        pack.coarse_enough(manifest, file.arrays, storage, 900)


@pytest.mark.parametrize("kind", ["none", "standardise", "conv_whiten", "auto"])
def test_what_is_distilled_in_is_what_the_file_preprocesses_to(
    kind: str, colours: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distilled_in: list[torch.Tensor] = []
    original = Distiller.__init__

    def spy(self: Distiller, *args: Any) -> None:
        original(self, *args)
        distilled_in.append(self.real[0][:])

    monkeypatch.setattr(Distiller, "__init__", spy)
    out = tmp_path / "x.ddset"
    encode(colours, ipc=1.0, out=out, steps=2, preprocessing=kind)
    ds = load(out)
    spec = ds.manifest.image["preprocessing"]
    assert spec["kind"] == ("conv_whiten" if kind == "auto" else kind)
    images = colours.train.images
    seen = ds.preprocess(images)
    kept, _ = held_out(colours.train.labels, len(colours.classes), 0)
    assert torch.equal(seen[kept], distilled_in[0])
    assert np.array_equal(READER["preprocess"](images[7].transpose(2, 0, 1), spec), seen[7].numpy())


def test_digits_are_standardised_and_the_reader_sees_the_same_samples(
    digits: Source, tmp_path: Path
) -> None:
    out = tmp_path / "x.ddset"
    encode(digits, ipc=0.9, out=out, steps=2, quality="bits=3")
    assert load(out).manifest.image["preprocessing"]["kind"] == "standardise"
    manifest, tensors = READER["read"](out.read_bytes())
    ds = load(out)
    for (image, label), (x, y) in zip(READER["samples"](manifest, tensors), ds, strict=True):
        assert np.array_equal(image, x.numpy())
        assert np.array_equal(label, y.numpy())


@pytest.mark.parametrize(
    ("quality", "storage"),
    [
        ("lossless", Storage()),
        ("high", Storage(bits=8, per_channel=True)),
        ("small", Storage(bits=4, per_channel=True)),
        ("bits=3", Storage(bits=3, per_channel=True)),
    ],
)
def test_a_quality_says_how_the_poster_is_stored(quality: str, storage: Storage) -> None:
    assert StoredBits.of(quality).poster == storage


def test_a_precision_or_space_that_is_none_is_refused(digits: Source, tmp_path: Path) -> None:
    for options, words in (
        ({"quality": "bits=9"}, "`quality` must be lossless, high, small or bits=N"),
        ({"preprocessing": "zca"}, "`preprocessing` must be one of"),
    ):
        with pytest.raises(UsageError, match=words):
            encode(digits, ipc=0.9, out=tmp_path / "x.ddset", steps=2, **options)


def fitted(classes: int, total: int, **choices: Any) -> Plan:
    source = noise_source(classes, 5, 4)
    chosen = {"profile": "quick", "order": "given", "quality": "small", "steps": 3, **choices}
    return fit_bytes(Expected(source), lambda ipc: plan_of(source, ipc=ipc, **chosen), total)


@settings(max_examples=10)
@given(
    st.one_of(st.integers(1, 60), st.integers(1, 400)),
    st.integers(8, 12),
    st.sampled_from(["even", "per-class"]),
    st.sampled_from(["fixed", "learned"]),
)
def test_any_count_of_classes_has_a_least_size_and_fits_into_all_above(
    classes: int, eighths: int, origins: str, labels: str
) -> None:
    choices = {"origins": origins, "labels": labels}
    with pytest.raises(UsageError, match="`total_bytes`=1 is too few") as refused:
        fitted(classes, 1, **choices)
    found = re.search(r"smallest file of these settings takes about (\d+)", str(refused.value))
    assert found is not None
    least = int(found[1])
    made = fitted(classes, least * eighths // 8, **choices)
    assert made.total_bytes == least * eighths // 8
    assert set(made.order.cells) == set(range(classes))


@pytest.mark.parametrize("classes", [1, 2, 3, 7, 43, 102])
def test_a_file_of_any_count_of_classes_keeps_to_its_bytes(classes: int, tmp_path: Path) -> None:
    path = tmp_path / "x.ddset"
    total = 5000 + 20 * classes
    encode(noise_source(classes, 8, 8), total_bytes=total, out=path, steps=2, order="given")
    assert path.stat().st_size <= total
    check_file(path, classes)


@pytest.mark.parametrize(("size", "said"), [(950, None), (949, "51 of `total_bytes`=1000 stay")])
def test_bytes_that_stay_free_are_said_where_they_are_many(size: int, said: str | None) -> None:
    line = left_free(1000, size, "of a reason")
    assert (line is None) == (said is None)
    assert line is None or (line.startswith(str(said)) and line.endswith(": of a reason"))


def test_a_poster_of_simple_labels_says_which_bytes_it_leaves(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddcodec.codecs.podd.budget.LABEL_SPREAD", 1.0)  # dearer than they are
    out, notes = tmp_path / "x.ddset", Notes()
    encode(digits, out, total_bytes=2500, steps=2, profile="quick", reporter=notes)
    free = 2500 - out.stat().st_size
    assert any(line.startswith(f"{free:,} of `total_bytes`=2500 stay free") for line in notes.said)


def test_the_largest_poster_does_not_ask_for_more_bytes(digits: Source) -> None:
    plan = plan_of(digits, ipc=1.0, profile="quick")
    assert "a larger `total_bytes`" in why_free(plan)
    assert why_free(replace(plan, ipc=63.9)) == "a poster has 64 images a class at most"
    # Coefficients grow finer with the bytes, however many images there are.
    assert "finer poster" in why_free(replace(plan, ipc=64.0, coded_bytes=100))


@pytest.mark.parametrize("transform", ["none", "dct"])
def test_what_a_clock_decides_does_not_change_the_poster(transform: str, digits: Source) -> None:
    request = request_for(digits)
    asked: dict[str, Any] = {"total_bytes": 1600, "transform": transform, "profile": "quick"}
    clocked: dict[str, Any] = {"steps": 4000, "kernel_steps": 1500, "window": 10, "width": 32}
    first, again = (
        plan_in_bytes(request, settled(PoDD(**asked, **more), request.device), 1600)
        for more in ({}, {**clocked, "threads": 1})
    )
    assert (again.size, again.coded_bytes) == (first.size, first.coded_bytes)
