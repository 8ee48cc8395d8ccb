"""Encoding with PoDD: budgets, determinism, resume, labels that stay alive."""

from __future__ import annotations

import errno
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ddcodec import CheckpointMismatch, OutputError, Unsupported, UsageError, encode, info, load
from ddcodec.codecs.podd.decode import geometry_of
from ddcodec.codecs.podd.labels import classes_without_patch
from ddcodec.codecs.podd.layout import patch_grid_for
from ddcodec.codecs.podd.outer_loop import Distiller
from ddcodec.codecs.podd.pace import Pace
from ddcodec.codecs.podd.plan import Stage
from ddcodec.codecs.podd.poster import EVEN
from ddcodec.codecs.podd.presets import PRESETS
from ddcodec.codecs.podd.stored import StoredBits
from ddcodec.codecs.podd.variables import PosterVariables
from ddcodec.format import read
from ddcodec.format.payload import decode_tensor, encode_tensor
from ddcodec.limits import Limits
from ddcodec.runtime import checkpoint
from ddcodec.runtime.progress import SILENT
from ddcodec.sources import Source, Split
from ddcodec.sources import load as load_source
from tests.helpers.plans import cut_out, label_entropy, numbers_of
from tests.helpers.real_data import real_data
from tests.helpers.reporters import Notes, StopAfter


@pytest.mark.parametrize(
    ("profile", "ipc"),
    [("quick", ipc) for ipc in (0.1, 0.25, 0.4, 0.9, 1.0, 2.0)] + [("paper", 0.4), ("paper", 1.0)],
)
def test_any_budget_is_kept_and_every_class_has_a_label(
    ipc: float, profile: str, digits: Source, tmp_path: Path
) -> None:
    path = tmp_path / "x.ddset"
    encode(digits, ipc=ipc, out=path, steps=2 if profile == "quick" else 1, profile=profile)
    facts = info(path)
    assert facts["pixels"] <= ipc * 10 * 64
    assert facts["pixels"] >= 0.9 * ipc * 10 * 64
    file = read(path)
    if file.manifest.labels["kind"] == "learned":
        assert classes_without_patch(file.arrays["labels"].reshape(-1, 10)) == []
    assert len(load(path)) == facts["patches"]["count"]


def test_samples_are_the_patches_of_the_poster(digits_file: Path) -> None:
    ds, file = load(digits_file), read(digits_file)
    patches = cut_out(geometry_of(file.manifest), file.arrays["poster"])
    for i in range(len(ds)):
        image, label = ds[i]
        assert np.array_equal(image.numpy(), patches[i])
        assert float(label.sum()) == pytest.approx(1, abs=1e-6)


def test_the_same_seed_gives_the_same_content_digest(digits: Source, tmp_path: Path) -> None:
    first = encode(digits, ipc=0.4, out=tmp_path / "a.ddset", steps=6, seed=1)
    again = encode(digits, ipc=0.4, out=tmp_path / "b.ddset", steps=6, seed=1)
    other = encode(digits, ipc=0.4, out=tmp_path / "c.ddset", steps=6, seed=2)
    assert first.content_digest == again.content_digest
    assert (tmp_path / "a.ddset").read_bytes() == (tmp_path / "b.ddset").read_bytes()
    assert first.content_digest != other.content_digest


@pytest.mark.parametrize(
    ("profile", "steps", "stop"),
    [
        ("quick", 12, 3),
        ("quick", 12, 9),
        pytest.param("paper", 3, 2, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_encode_resumes_to_the_same_digest(
    profile: str,
    steps: int,
    stop: int,
    digits: Source,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ddcodec.codecs.podd.outer_loop.SNAPSHOT_SECONDS", 0.0)
    whole = encode(digits, ipc=0.4, out=tmp_path / "whole.ddset", steps=steps, profile=profile)
    out = tmp_path / "part.ddset"
    with pytest.raises(KeyboardInterrupt):
        encode(digits, ipc=0.4, out=out, steps=steps, profile=profile, reporter=StopAfter(stop))
    assert not out.exists()
    assert (tmp_path / "part.ddset.checkpoint").exists()
    seen: list[int] = []

    class Count(StopAfter):
        def step(self, done: int, loss: float) -> None:
            seen.append(done)

    resumed = encode(
        digits, ipc=0.4, out=out, steps=steps, profile=profile, resume=True, reporter=Count(0)
    )
    assert resumed.content_digest == whole.content_digest
    assert len(seen) <= steps - stop + 1  # it went on, it did not begin again
    assert not (tmp_path / "part.ddset.checkpoint").exists()


def test_a_killed_encode_resumes_to_the_same_digest(digits: Source, tmp_path: Path) -> None:
    whole = encode(digits, ipc=0.9, out=tmp_path / "whole.ddset", steps=30)
    out = tmp_path / "killed.ddset"
    code = (
        "import torch, ddcodec; torch.set_num_threads(1);"
        "import ddcodec.codecs.podd.outer_loop as d; d.SAVE_SECONDS = d.SNAPSHOT_SECONDS = 0.05;"
        f"ddcodec.encode('digits', {str(out)!r}, ipc=0.9, steps=30)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    checkpoint = out.with_name(out.name + ".checkpoint")
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert checkpoint.exists()
    assert not out.exists()
    resumed = encode(digits, ipc=0.9, out=out, steps=30, resume=True)
    assert resumed.content_digest == whole.content_digest


def test_an_interrupted_run_of_a_time_goes_on_and_takes_no_more_than_the_time(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddcodec.codecs.podd.outer_loop.SNAPSHOT_SECONDS", 0.0)
    out = tmp_path / "x.ddset"
    run: dict[str, Any] = {"ipc": 0.4, "time": 6.0}
    with pytest.raises(KeyboardInterrupt):
        encode(digits, out=out, reporter=StopAfter(12), **run)
    manifest = encode(digits, out=out, resume=True, **run)
    numbers = numbers_of(manifest.provenance["command"])
    again = encode(digits, out=tmp_path / "y.ddset", ipc=0.4, **numbers)
    assert again.content_digest == manifest.content_digest
    assert not out.with_name("x.ddset.checkpoint").exists()


def test_the_checkpoint_of_other_settings_or_another_source_is_refused(
    digits: Source, tmp_path: Path
) -> None:
    out = tmp_path / "x.ddset"
    with pytest.raises(KeyboardInterrupt):
        encode(digits, ipc=0.4, out=out, steps=9, reporter=StopAfter(3))
    with pytest.raises(CheckpointMismatch, match="another source, settings or version"):
        encode(digits, ipc=0.5, out=out, steps=9, resume=True)
    fewer = Split(digits.train.images[:1000], digits.train.labels[:1000])
    other = Source("digits", digits.classes, {"train": lambda: fewer})
    with pytest.raises(CheckpointMismatch):
        encode(other, ipc=0.4, out=out, steps=9, resume=True)


def test_the_old_file_stays_until_the_new_one_is_whole(digits: Source, tmp_path: Path) -> None:
    out = tmp_path / "x.ddset"
    encode(digits, ipc=0.4, out=out, steps=2)
    old = out.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        encode(digits, ipc=0.9, out=out, steps=9, overwrite=True, reporter=StopAfter(2))
    assert out.read_bytes() == old
    with pytest.raises(OutputError, match="unfinished run"):
        encode(digits, ipc=0.9, out=out, steps=2)


@pytest.mark.parametrize("pooling", ["area", "cell"])
def test_learned_labels_do_not_run_to_uniform(pooling: str, digits: Source, tmp_path: Path) -> None:
    out = tmp_path / "x.ddset"
    encode(digits, ipc=0.4, out=out, steps=60, labels="learned", label_pooling=pooling)
    labels = read(out).arrays["labels"].reshape(-1, 10)
    assert classes_without_patch(labels) == [] or label_entropy(labels) < 0.9
    assert label_entropy(labels) < 0.9
    assert (labels.max(axis=1) >= 0.19).all()


@pytest.mark.parametrize(
    ("quality", "bits"), [("lossless", 32), ("high", 8), ("small", 4), ("bits=2", 2)]
)
def test_quality_sets_the_bits_of_the_poster(
    quality: str, bits: int, digits: Source, tmp_path: Path
) -> None:
    out = tmp_path / "x.ddset"
    encode(digits, ipc=0.9, out=out, steps=2, quality=quality)
    assert info(out)["poster"]["bits"] == bits
    poster = read(out).arrays["poster"]
    assert bits == 32 or len(np.unique(poster)) <= 2**bits


def test_time_finds_a_number_of_steps_that_makes_the_same_file_again(
    digits: Source, tmp_path: Path
) -> None:
    timed = encode(digits, ipc=0.4, out=tmp_path / "a.ddset", time=4.0)
    numbers = numbers_of(timed.provenance["command"])
    assert numbers["steps"] >= 1
    again = encode(digits, ipc=0.4, out=tmp_path / "b.ddset", **numbers)
    assert again.content_digest == timed.content_digest


@pytest.mark.parametrize(
    "more",
    [
        {"aware": 1.0, "quality": "bits=2"},
        {"aware": 0.7, "quality": "bits=2"},
        {"window": 7, "width": 16},
    ],
)
def test_what_a_clock_decided_does_not_change_what_was_asked(
    more: dict[str, Any], digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Late on a busy machine, but not stopped on the way.
    monkeypatch.setattr(Pace, "deadline", math.inf)
    timed = encode(digits, ipc=0.4, out=tmp_path / "a.ddset", time=4.0, **more)
    numbers = numbers_of(timed.provenance["command"])
    assert {name: numbers[name] for name in ("window", "width") if name in more} == {
        name: more[name] for name in ("window", "width") if name in more
    }
    again = encode(digits, ipc=0.4, out=tmp_path / "b.ddset", **more | numbers)
    assert again.content_digest == timed.content_digest


def test_threads_that_a_clock_decided_are_in_the_command(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = digits.train.images[:300].repeat(2, axis=1).repeat(2, axis=2)
    train = Split(few, digits.train.labels[:300])
    large = Source("large", digits.classes, {"train": lambda: train})
    used: list[int] = []
    original = Distiller._step

    def spy(self: Distiller, stage: Stage) -> float:
        used.append(torch.get_num_threads())
        return original(self, stage)

    monkeypatch.setattr(Distiller, "_step", spy)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        # Whatever the clock says of two threads, one is faster here.
        monkeypatch.setattr(
            "ddcodec.codecs.podd.encode.fastest_threads", lambda seconds, *_: (1, seconds(1))
        )
        # Late on a busy machine, but not stopped on the way.
        monkeypatch.setattr(Pace, "deadline", math.inf)
        timed = encode(large, ipc=0.4, out=tmp_path / "a.ddset", time=4.0, width=4, window=2)
        assert set(used) == {1}
        assert torch.get_num_threads() == 2
        numbers = numbers_of(timed.provenance["command"])
        assert numbers["threads"] == 1
        again = encode(large, ipc=0.4, out=tmp_path / "b.ddset", **numbers)
        assert set(used) == {1}
    finally:
        torch.set_num_threads(before)
    assert again.content_digest == timed.content_digest


def test_a_run_that_is_interrupted_twice_has_its_time_once(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddcodec.codecs.podd.outer_loop.SNAPSHOT_SECONDS", 0.0)
    spent = []
    original = checkpoint.save

    def spy(path: Path, tensors: Any, meta: dict[str, Any], identity: str) -> None:
        spent.append(meta["spent"])
        original(path, tensors, meta, identity)

    monkeypatch.setattr("ddcodec.codecs.podd.outer_loop.checkpoint.save", spy)
    run: dict[str, Any] = {"ipc": 0.4, "time": 30.0, "out": tmp_path / "x.ddset"}
    at = []
    for steps in (12, 1):
        with pytest.raises(KeyboardInterrupt):
            encode(digits, reporter=StopAfter(steps), resume=True, **run)
        at.append(spent[-1])
    assert at[1] > at[0]  # the second call had a step


@pytest.mark.parametrize(
    ("profile", "more"),
    [
        pytest.param("paper", {"augment": "none"}, marks=pytest.mark.slow),
        pytest.param(  # the last quarter is rounded
            "paper", {"quality": "small", "truncation": "adaptive"}, marks=pytest.mark.slow
        ),
        ("quick", {}),
    ],
)
def test_a_run_over_many_short_calls_is_the_run_in_one(
    profile: str, more: dict[str, Any], digits: Source, tmp_path: Path
) -> None:
    run: dict[str, Any] = {"ipc": 0.4, "profile": profile, "steps": 4, **more}
    whole = encode(digits, out=tmp_path / "a.ddset", **run)
    out = tmp_path / "b.ddset"
    notes = Notes()
    parts = [
        encode(digits, out=out, time=1e-6, resume=True, reporter=notes, **run) for _ in range(4)
    ]
    assert [part.content_digest for part in parts[:-1]].count(whole.content_digest) == 0
    assert parts[-1].content_digest == whole.content_digest
    assert parts[-1].provenance["command"] == whole.provenance["command"]
    assert [note.split(" steps")[0] for note in notes.said] == [f"{n} of 4" for n in range(1, 4)]
    assert not out.with_name("b.ddset.checkpoint").exists()
    with pytest.raises(OutputError, match="exists"):  # the run is over: nothing to go on with
        encode(digits, out=out, resume=True, **run)


def test_a_forgotten_resume_does_not_cost_the_work(digits: Source, tmp_path: Path) -> None:
    out = tmp_path / "x.ddset"
    run: dict[str, Any] = {"ipc": 0.4, "steps": 3, "time": 1e-6}
    encode(digits, out=out, **run)
    kept = out.with_name("x.ddset.checkpoint").read_bytes()
    with pytest.raises(OutputError, match="holds an unfinished run; `resume` goes on with it"):
        encode(digits, out=out, **run)
    with pytest.raises(CheckpointMismatch):
        encode(digits, out=out, resume=True, **run | {"ipc": 0.9})
    assert out.with_name("x.ddset.checkpoint").read_bytes() == kept
    assert info(out)["ipc"] < 0.5


def test_a_checkpoint_that_cannot_be_kept_is_no_file_to_go_on_with(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OutputError("no space left")

    monkeypatch.setattr("ddcodec.codecs.podd.outer_loop.checkpoint.save", full)
    out, notes = tmp_path / "x.ddset", Notes()
    with pytest.raises(OutputError, match="no space left"):
        encode(digits, ipc=0.4, out=out, steps=3, time=1e-6, reporter=notes)
    assert notes.said == []
    assert not out.exists()


def test_a_disk_that_is_full_for_a_while_does_not_end_the_run(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OutputError("no space left")

    run: dict[str, Any] = {"ipc": 0.4, "steps": 4}
    whole = encode(digits, out=tmp_path / "a.ddset", **run)
    monkeypatch.setattr("ddcodec.codecs.podd.outer_loop.SAVE_SECONDS", 0.0)
    monkeypatch.setattr("ddcodec.codecs.podd.outer_loop.checkpoint.save", full)
    notes = Notes()
    found = encode(digits, out=tmp_path / "b.ddset", reporter=notes, **run)
    assert found.content_digest == whole.content_digest
    assert notes.said == ["no space left; the run goes on without a checkpoint"]


def test_the_file_of_a_stopped_run_says_how_it_was_made(digits: Source, tmp_path: Path) -> None:
    run: dict[str, Any] = {"ipc": 0.4, "steps": 4}
    constant = encode(digits, out=tmp_path / "a.ddset", profile="paper", time=1e-6, **run)
    assert "--steps 1" in constant.provenance["command"]
    again = encode(digits, ipc=0.4, out=tmp_path / "b.ddset", profile="paper", steps=1)
    assert again.content_digest == constant.content_digest
    annealed = encode(digits, out=tmp_path / "c.ddset", profile="quick", time=1e-6, **run)
    assert annealed.provenance["command"].endswith("  # stopped after 1")
    assert "--steps 4" in annealed.provenance["command"]


@pytest.mark.parametrize("side", [1, 2, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("value", [0, 255])
def test_images_without_contrast_or_of_one_pixel_encode(
    side: int, channels: int, value: int, tmp_path: Path
) -> None:
    images = np.full((6, side, side, channels), value, np.uint8)
    if side == 1:
        images += (40 * np.arange(6, dtype=np.uint8))[:, None, None, None]
    split = Split(images, np.arange(6) % 2)
    source = Source("blank", ("a", "b"), {"train": lambda: split})
    encode(source, tmp_path / "x.ddset", ipc=1.0, steps=4, profile="quick")
    image, label = load(tmp_path / "x.ddset")[0]
    assert image.isfinite().all()
    assert label.isfinite().all()


def test_one_class_and_primes_encode(tmp_path: Path, digits: Source) -> None:
    for n in (1, 2, 7):
        keep = digits.train.labels < n
        split = Split(digits.train.images[keep], digits.train.labels[keep])
        source = Source("few", digits.classes[:n], {"train": lambda split=split: split})
        out = tmp_path / f"{n}.ddset"
        encode(source, ipc=1.0, out=out, steps=3)
        assert load(out)[0][1].shape == (n,)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"ipc": 0}, UsageError, "more than 0"),
        ({"ipc": -1}, UsageError, "more than 0"),
        ({"ipc": float("nan")}, UsageError, "`ipc` must be a finite number"),
        ({"ipc": 0.05}, UsageError, r"smallest budget for this data set is `ipc`=0\.1"),
        ({"codec": "zip"}, Unsupported, "unknown codec 'zip'"),
        ({"steps": -1}, UsageError, "`steps` must be at least 0, got -1"),
        ({"kernel_steps": 1}, UsageError, "give both"),
        ({"steps": 1, "kernel_steps": 2}, UsageError, "at most `steps`"),
        ({"steps": 1, "window": 5, "profile": "paper"}, UsageError, "belong to `profile`=quick"),
        ({"time": -1.0}, UsageError, "`time` must be at least"),
        ({"steps": 1, "time": 1.0, "codec": "ppodd"}, UsageError, "podd takes both"),
        ({"quality": "bits=9"}, UsageError, "bits=N"),
        (
            {"profile": "slow"},
            UsageError,
            "`profile` must be one of auto, quick",
        ),
        ({"patches": (500, 500)}, UsageError, "at most"),
        ({"device": "tpu"}, UsageError, "unknown device"),
        ({"order": "nothing.txt"}, UsageError, "neither a rule"),
        ({"order": "paper"}, Unsupported, "CIFAR-10 and CIFAR-100"),
    ],
)
def test_bad_arguments_are_named(
    arguments: dict[str, object], error: type[Exception], words: str, digits: Source, tmp_path: Path
) -> None:
    given = {"ipc": 0.4, "out": tmp_path / "x.ddset", **arguments}
    with pytest.raises(error, match=words):
        encode(digits, **given)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def few_of(name: str, count: int) -> Source:
    """Return a real data set with the first of its training images."""
    source = load_source(real_data(name))
    few = Split(source.train.images[:count], source.train.labels[:count])
    return Source(source.name, source.classes, {"train": lambda: few})


@pytest.mark.slow
def test_cifar_posters_have_the_papers_sizes(tmp_path: Path) -> None:
    out = tmp_path / "c10.ddset"
    encode(few_of("cifar10", 2000), ipc=0.9, out=out, steps=1, reporter=SILENT)
    facts = info(out)
    assert facts["pixels"] == 9180
    assert (facts["poster"]["height"], facts["poster"]["width"]) == (60, 153)
    assert facts["patches"] == {"count": 75, "grid": [15, 5], "size": [32, 32]}
    assert patch_grid_for(PRESETS["cifar10"], "paper", (3, 60, 153), (32, 32), (5, 2), EVEN) == (
        16,
        6,
    )
    out = tmp_path / "c100.ddset"
    encode(few_of("cifar100", 2000), ipc=0.4, out=out, steps=1)
    facts = info(out)
    assert (facts["pixels"], facts["classes"]) == (40804, 100)
    assert facts["patches"] == {"count": 190, "grid": [19, 10], "size": [32, 32]}
    whole = PRESETS["cifar100"], "paper", (3, 202, 202), (32, 32), (10, 10), EVEN
    assert patch_grid_for(*whole) == (20, 20)


def test_few_bits_are_seen_by_the_distillation(digits: Source, tmp_path: Path) -> None:
    """The poster that was distilled at 2 bits is the poster that the file holds."""
    seen: list[np.ndarray] = []
    original = PosterVariables.patches

    def spy(self: PosterVariables, stored: StoredBits | None = None) -> torch.Tensor:
        patches = original(self, stored)
        if stored is not None:
            seen.append(patches.numpy().copy())
        return patches

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PosterVariables, "patches", spy)
        encode(digits, ipc=0.9, out=tmp_path / "x.ddset", steps=6, quality="bits=2", aware=1.0)
        encode(digits, ipc=0.9, out=tmp_path / "y.ddset", steps=6, quality="high")
    assert len(seen) > 0
    assert all(len(np.unique(patches)) <= 4 for patches in seen)


@pytest.mark.parametrize("quality", ["bits=2", "bits=5", "small"])
def test_rounding_while_distilling_is_that_of_the_file(
    quality: str, digits: Source, tmp_path: Path
) -> None:
    """To the bit: what the last stage learns with is what a reader would decode."""
    pairs: list[tuple[torch.Tensor, np.ndarray]] = []
    original = StoredBits.rounded

    def spy(self: StoredBits, poster: torch.Tensor) -> torch.Tensor:
        found = original(self, poster)
        spec, pieces, _ = encode_tensor(poster.numpy(), self.poster)
        views = [memoryview(piece.tobytes()) for piece in pieces]
        pairs.append((found, decode_tensor("poster", spec, views, Limits())))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StoredBits, "rounded", spy)
        encode(digits, ipc=0.9, out=tmp_path / "x.ddset", steps=5, aware=1.0, quality=quality)
    assert len(pairs) > 0
    for found, stored in pairs:
        assert np.array_equal(found.numpy(), stored)


def test_a_full_disk_at_the_end_leaves_the_old_file_and_the_work(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "x.ddset", tmp_path / "whole.ddset"
    encode(digits, ipc=0.4, out=out, steps=2)
    expected = encode(digits, ipc=0.9, out=whole, steps=3)
    old = out.read_bytes()
    sync, calls = os.fsync, []

    def full_once(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_once)
        with pytest.raises(OutputError, match="No space left on device"):
            encode(digits, ipc=0.9, out=out, steps=3, overwrite=True)
    assert out.read_bytes() == old
    steps = StopAfter(1)  # it would stop at any further step
    resumed = encode(digits, ipc=0.9, out=out, steps=3, overwrite=True, resume=True, reporter=steps)
    assert resumed.content_digest == expected.content_digest
    assert sorted(p.name for p in tmp_path.iterdir()) == ["whole.ddset", "x.ddset"]


def test_the_type_of_activations_is_part_of_a_run(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddcodec.codecs.podd.outer_loop.SNAPSHOT_SECONDS", 0.0)
    settings = {"ipc": 0.4, "steps": 4, "profile": "quick"}
    files = {}
    for precision in ("auto", "float32", "bfloat16"):
        out = tmp_path / f"{precision}.ddset"
        files[precision] = encode(digits, out=out, precision=precision, **settings)
    assert (
        files["auto"].content_digest
        == encode(digits, out=tmp_path / "again.ddset", **settings).content_digest
    )
    poster = {name: read(tmp_path / f"{name}.ddset").arrays["poster"] for name in files}
    assert np.array_equal(poster["auto"], poster["float32"])  # 8 pixels are too few
    assert not np.array_equal(poster["bfloat16"], poster["float32"])
    assert "--precision bfloat16" in files["bfloat16"].provenance["command"]
    out = tmp_path / "cut.ddset"
    with pytest.raises(KeyboardInterrupt):
        encode(digits, out=out, reporter=StopAfter(2), precision="bfloat16", **settings)
    with pytest.raises(CheckpointMismatch):
        encode(digits, out=out, resume=True, precision="float32", **settings)
    with pytest.raises(UsageError, match="`precision` must be one of"):
        encode(digits, out=out, precision="half", **settings)
