"""Files joined and cut: the same samples, classes in order, and what cannot be one named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ddcodec import UsageError, load, pack, verify
from ddcodec.evaluate.measure import train_students
from ddcodec.format import read, restate, write
from ddcodec.share.merging import merge, split
from ddcodec.share.writing import Statement, write_mosaics
from ddcodec.sources import Source
from tests.helpers import lic_files
from tests.helpers.published_sets import real, soft
from tests.helpers.vectors import several_networks

NAMES = tuple("0123456789")
SPEC = {"kind": "standardise", "mean": [0.3], "std": [0.37]}
Pair = tuple[torch.Tensor, torch.Tensor]


def samples(path: Path) -> Pair:
    ds = load(path)
    return torch.stack([x for x, _ in ds]), ds.soft_labels


def halves(folder: Path, **how: Any) -> tuple[Path, Path, Path]:
    """Two files of five classes each, and one of all ten, of the same images."""
    images, labels = real(3)
    values = ((images - 0.3) / 0.37).astype(np.float32)
    out = []
    for name, first, last in (("a", 0, 5), ("b", 5, 10), ("all", 0, 10)):
        chosen = (labels >= first) & (labels < last)
        path = folder / f"{name}.ddset"
        pack(values[chosen], labels[chosen] - first, NAMES[first:last], path,
             preprocessing=SPEC, overwrite=True, **how)  # fmt: skip
        out.append(path)
    return out[0], out[1], out[2]


@pytest.mark.parametrize("bits", [None, 8, 3])
def test_two_sets_of_five_classes_are_one_of_ten(tmp_path: Path, bits: int | None) -> None:
    a, b, _ = halves(tmp_path, bits=bits)
    out = tmp_path / "ab.ddset"
    merge([a, b], out)
    assert verify(out) == []
    x, y = samples(out)
    assert torch.equal(x, torch.cat([samples(a)[0], samples(b)[0]]))
    assert load(out).classes == NAMES
    assert torch.equal(y, torch.from_numpy(np.eye(10, dtype=np.float32)[real(3)[1]]))
    if bits is not None:  # levels stay levels, whatever the range of each file is
        assert len(np.unique(read(out).arrays["images"])) <= 2 * 2**bits


def test_what_was_measured_on_the_parts_is_not_claimed_of_the_whole(tmp_path: Path) -> None:
    a, b, whole = halves(tmp_path)
    for path in (a, b, whole):
        restate(path, **several_networks())
    merge([a, b], tmp_path / "ab.ddset")
    split(whole, tmp_path / "part.ddset", NAMES[:5])
    for name in ("ab", "part"):
        manifest = load(tmp_path / f"{name}.ddset").manifest
        assert (manifest.measured, manifest.measured_networks) == (None, ())


def test_merged_halves_train_like_the_whole(tmp_path: Path, digits: Source) -> None:
    a, b, whole = halves(tmp_path)
    out = tmp_path / "ab.ddset"
    merge([a, b], out)
    recipe = {**load(whole).manifest.recipe, "steps": 5}
    found = []
    for path in (out, whole):
        restate(path, recipe=recipe)
        test = digits.require_test()
        found.append(train_students(load(path), test, nets=1, device="cpu").per_net)
    assert found[0] == found[1]


def test_more_images_of_the_same_classes(tmp_path: Path) -> None:
    _, _, whole = halves(tmp_path)
    out = tmp_path / "twice.ddset"
    manifest = merge([whole, whole], out)
    x, y = samples(whole)
    assert torch.equal(samples(out)[0], torch.cat([x, x]))
    assert torch.equal(samples(out)[1], torch.cat([y, y]))
    assert manifest.source == load(whole).manifest.source


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.sampled_from(NAMES), min_size=1, max_size=9), st.booleans())
def test_what_was_split_and_merged_is_there_again(
    tmp_path: Path, chosen: set[str], with_shares: bool
) -> None:
    images, labels = real(2)
    whole, one, other, out = (tmp_path / f"{name}.ddset" for name in ("w", "1", "2", "o"))
    # A share of each label goes to a neighbour that is in the same part.
    given = labels if not with_shares else np.eye(10, dtype=np.float32)[labels]
    rest = [name for name in NAMES if name not in chosen]
    pack(images, given, NAMES, whole, overwrite=True, bits=8)
    split(whole, one, sorted(chosen), overwrite=True)
    split(whole, other, rest, overwrite=True)
    merge([one, other], out, overwrite=True)
    assert verify(out) == []

    def as_set(path: Path) -> set[tuple[bytes, str]]:
        ds = load(path)
        return {(x.numpy().tobytes(), ds.classes[int(y.argmax())]) for x, y in ds}

    assert as_set(out) == as_set(whole)
    assert len(load(out)) == len(load(whole))
    assert load(one).classes == tuple(sorted(chosen))


def test_soft_labels_lose_only_what_other_classes_had(tmp_path: Path) -> None:
    images, labels = real(2)
    shares = soft(labels)
    whole, out = tmp_path / "a.ddset", tmp_path / "b.ddset"
    pack(images, shares, NAMES, whole)
    split(whole, out, ["7", "2"])
    kept = np.isin(labels, [2, 7])
    wanted = shares[kept][:, [2, 7]]
    assert np.allclose(samples(out)[1], wanted / wanted.sum(1, keepdims=True), atol=1e-6)
    merge([out, whole], tmp_path / "c.ddset")
    assert load(tmp_path / "c.ddset").classes[:3] == ("2", "7", "0")
    assert np.allclose(samples(tmp_path / "c.ddset")[1][-1, :2], shares[-1, [2, 7]], atol=1e-6)


def test_indices_and_shares_can_be_joined(tmp_path: Path) -> None:
    images, labels = real(1)
    pack(images, labels, NAMES, tmp_path / "a.ddset")
    pack(images, soft(labels), NAMES, tmp_path / "b.ddset")
    merge([tmp_path / "a.ddset", tmp_path / "b.ddset"], tmp_path / "c.ddset")
    y = samples(tmp_path / "c.ddset")[1]
    assert torch.equal(y[:10], torch.eye(10))
    assert np.allclose(y[10:], soft(labels), atol=1e-6)


@pytest.mark.parametrize("kind", ["index", "logits"])
def test_mosaics_are_joined_and_cut_with_all_their_regions(tmp_path: Path, kind: str) -> None:
    images, labels = real(2)
    mosaics = np.rint(images * 255).astype(np.uint8)
    made = {
        "preprocessing": SPEC,
        "source": {"name": "digits", "split": "train", "count": 1, "digest": "0" * 32},
        "provenance": {"tool": "test", "command": "test", "seed": 0},
    }
    given = labels.astype(np.int32) if kind == "index" else soft(labels)
    whole, one, other = (tmp_path / f"{name}.ddset" for name in ("w", "1", "2"))
    write_mosaics(whole, mosaics, given, 2, Statement(NAMES, **made))
    split(whole, one, NAMES[:4])
    split(whole, other, NAMES[4:])
    merge([one, other], tmp_path / "o.ddset")
    assert verify(tmp_path / "o.ddset") == []
    (x, y), (again, labelled) = samples(whole), samples(tmp_path / "o.ddset")
    assert torch.equal(x, again)
    assert len(x) == 20 * 5
    if kind == "index":
        assert torch.equal(y, labelled)
    assert torch.equal(y.argmax(1), labelled.argmax(1))


def test_what_cannot_be_one_file_is_named(tmp_path: Path, digits_file: Path) -> None:
    images, labels = real(1)
    a, out = tmp_path / "a.ddset", tmp_path / "o.ddset"
    pack(images, labels, NAMES, a, preprocessing=SPEC)
    for words, how in (
        ("size of images", {"images": images[:, :, :4]}),
        ("preprocessing", {"preprocessing": {"kind": "none"}}),
        ("values", {"images": np.rint(images * 255).astype(np.uint8)}),
    ):
        other = tmp_path / "b.ddset"
        values = {"images": images, "preprocessing": SPEC} | how
        pack(values["images"], labels, NAMES, other, preprocessing=values["preprocessing"],
             overwrite=True)  # fmt: skip
        with pytest.raises(UsageError, match=f"its {words}"):
            merge([a, other], out)
    with pytest.raises(UsageError, match="codec podd cannot be joined or cut: all"):
        merge([a, digits_file], out)
    with pytest.raises(UsageError, match="classes share one picture"):
        split(digits_file, out, ["3"])
    with pytest.raises(UsageError, match="two files or more"):
        merge([a], out)
    with pytest.raises(UsageError, match="'x' is no class of it; it has 0, 1"):
        split(a, out, ["x"])
    assert not out.exists()


def test_a_class_without_a_sample_of_its_own_is_no_class(tmp_path: Path) -> None:
    images, labels = real(1)
    a = tmp_path / "a.ddset"
    pack(images[:5], labels[:5], NAMES, a)
    with pytest.raises(UsageError, match="no sample is of the class '7'"):
        split(a, tmp_path / "b.ddset", ["1", "7"])


def test_licences_and_recipes_are_joined(tmp_path: Path) -> None:
    images, labels = real(1)
    a, b, c = (tmp_path / f"{name}.ddset" for name in "abc")
    pack(images, labels, NAMES, a, license="MIT", recipe={"steps": 30, "batch_size": 5})
    pack(images, labels, NAMES, b, license="CC-BY-4.0", recipe={"steps": 10, "batch_size": 5})
    assert merge([a, b], c).license == "MIT AND CC-BY-4.0"
    # 30 steps of 5 are 15 epochs of 10 images; of 20 images they take 60.
    assert load(c).manifest.recipe["steps"] == 60
    assert load(c).manifest.recipe["batch_size"] == 5
    pack(images, labels, NAMES, b, overwrite=True)
    assert merge([a, b], c, overwrite=True).license is None


def test_labels_of_the_most_probable_classes_are_joined_or_refused(tmp_path: Path) -> None:
    manifest = lic_files.lic_manifest("top")
    path, out = tmp_path / "a.ddset", tmp_path / "b.ddset"
    write(path, manifest, lic_files.lic_arrays(manifest), {})
    merge([path, path], out)
    x, y = samples(path)
    assert torch.equal(samples(out)[1], torch.cat([y, y]))
    assert torch.equal(samples(out)[0], torch.cat([x, x]))
    with pytest.raises(UsageError, match="most probable classes alone"):
        split(path, out, manifest.classes[:1], overwrite=True)


@pytest.mark.parametrize("kind", ["index", "logits"])
def test_lists_of_probable_classes_join_no_other_labels(kind: str, tmp_path: Path) -> None:
    paths = []
    for name in ("top", kind):
        manifest = lic_files.lic_manifest(name)
        paths.append(tmp_path / f"{name}.ddset")
        write(paths[-1], manifest, lic_files.lic_arrays(manifest), {})
    for pair in (paths, paths[::-1]):
        with pytest.raises(UsageError, match="differ in the kind of their labels"):
            merge(pair, tmp_path / "out.ddset")
    assert not (tmp_path / "out.ddset").exists()
