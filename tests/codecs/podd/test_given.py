"""A distillation that begins from a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ddcodec import CheckpointMismatch, InvalidFile, UsageError, encode, load, pack
from ddcodec.codecs.podd.given import Given
from ddcodec.codecs.podd.initial import class_mean_poster, patch_mean_poster, real_tensors
from ddcodec.codecs.podd.initial import initial_variables as begin
from ddcodec.codecs.podd.poster_file import poster_of
from ddcodec.format import read, read_manifest, to_bytes
from ddcodec.preprocessing.transform import fit
from ddcodec.sources import Source, Split
from tests.helpers.plans import plan_of
from tests.helpers.published_sets import real
from tests.helpers.transformed_files import analysed

NAMES = tuple("0123456789")
HOW = {"ipc": 0.9, "quality": "lossless", "device": "cpu", "seed": 3}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, digits: Source) -> Path:
    out = tmp_path_factory.mktemp("given") / "first.ddset"
    encode(digits, out, steps=2, **HOW)
    return out


def test_a_poster_goes_on_from_where_it_is(first: Path, tmp_path: Path, digits: Source) -> None:
    same, further = tmp_path / "same.ddset", tmp_path / "further.ddset"
    encode(digits, same, steps=0, init=first, **HOW)
    ours, theirs = load(same).file.arrays, load(first).file.arrays
    assert np.array_equal(ours["poster"], theirs["poster"])
    assert np.array_equal(ours["labels"], theirs["labels"])
    manifest = encode(digits, further, steps=1, init=first, **HOW)
    assert not np.array_equal(load(further).file.arrays["poster"], theirs["poster"])
    assert manifest.provenance["command"].endswith("--init first.ddset")


@pytest.mark.parametrize("spec", [{"kind": "none"}, "own", "bytes"])
def test_images_lie_where_the_poster_has_their_class(
    tmp_path: Path, digits: Source, spec: Any
) -> None:
    images, labels = real(2)
    own = dict(fit(digits.train.images, "standardise"))
    given: Any = images
    if spec == "own":
        given = ((images - own["mean"][0]) / own["std"][0]).astype(np.float32)
    if spec == "bytes":
        given = np.rint(images * 255).astype(np.uint8)
    path = tmp_path / "a.ddset"
    known = own if spec == "own" else {"kind": "none"}
    # Classes in another order are found by their names.
    pack(given, 9 - labels, NAMES[::-1], path, preprocessing=known)
    plan = plan_of(digits, ipc=0.9, order="given", labels="fixed", preprocessing="standardise")
    real_images = real_tensors(digits, own, torch.device("cpu"))
    file = Given(path, digits)
    poster = begin(plan, real_images, torch.device("cpu"), given=(file, own)).poster
    shown = file.images(own)
    wanted = (torch.from_numpy(images[::2] + images[1::2]) / 2 - own["mean"][0]) / own["std"][0]
    for label in range(10):
        assert torch.allclose(shown.of(label, 1)[0], wanted[label].float(), atol=1e-4)
    variables = begin(plan, real_images, torch.device("cpu"))
    starts = (
        class_mean_poster(plan.geometry, plan.order, shown),
        patch_mean_poster(plan.geometry, variables.labels(), shown),
    )
    assert any(torch.equal(poster, start) for start in starts)


def test_a_poster_stored_smaller_than_the_new_one_gives_its_images(
    first: Path, tmp_path: Path, digits: Source
) -> None:
    plan, device = plan_of(digits, **{k: HOW[k] for k in ("ipc", "quality", "seed")}), "cpu"
    file = read(first)
    spec = file.manifest.image["preprocessing"]
    large = file.arrays["poster"]
    small = {**file.arrays, "poster": large[:, ::2, ::2]}
    size = list(large.shape[1:])
    codec = {"name": "podd", "version": 1, "params": {"expanded": size}}
    path = tmp_path / "small.ddset"
    path.write_bytes(to_bytes(replace(file.manifest, codec=codec), small, {})[0])
    real_images = real_tensors(digits, spec, torch.device(device))
    variables = begin(plan, real_images, torch.device(device))
    before = variables.poster.clone()
    assert Given(first, digits).begin(variables, plan, spec)
    assert np.array_equal(variables.poster, large)
    variables.poster.copy_(before)
    assert not Given(path, digits).begin(variables, plan, spec)
    assert torch.equal(variables.poster, before)
    assert len(Given(path, digits).images(spec).of(3, 1)) == 1
    out = tmp_path / "out.ddset"
    encode(digits, out, steps=0, init=path, **HOW)
    assert read(out).arrays["poster"].shape == large.shape


def test_a_poster_of_coefficients_goes_on_from_its_pixels(
    first: Path, tmp_path: Path, digits: Source
) -> None:
    plan, device = plan_of(digits, **{k: HOW[k] for k in ("ipc", "quality", "seed")}), "cpu"
    file, step = read(first), 0.125
    spec, poster = file.manifest.image["preprocessing"], file.arrays["poster"]
    params = {"transform": {"size": list(poster.shape[1:]), "step": step}}
    coded = file.arrays | {"poster": analysed(poster, step)}
    codec = {"name": "podd", "version": 1, "params": params}
    path = tmp_path / "coded.ddset"
    path.write_bytes(to_bytes(replace(file.manifest, codec=codec), coded, {})[0])
    variables = begin(plan, real_tensors(digits, spec, torch.device(device)), torch.device(device))
    assert Given(path, digits).begin(variables, plan, spec)
    assert np.array_equal(variables.poster, poster_of(read_manifest(path)[0], coded))
    assert np.abs(variables.poster.numpy() - poster).max() < 4 * step


def test_a_poster_of_the_same_images_stays_in_its_space(tmp_path: Path) -> None:
    """Kernels may have been fitted more finely, or to fewer bytes, than they are now."""
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (2, 20, 16, 16, 3), np.uint8), np.arange(20) % 2
    ours, theirs = (
        Source("ours", ("a", "b"), {"train": lambda x=x: Split(x, labels)}) for x in images
    )
    path, out = tmp_path / "a.ddset", tmp_path / "b.ddset"
    encode(ours, path, steps=1, **HOW)
    file = read(path)
    space = file.manifest.image["preprocessing"]
    finer = space | {"kernel": [2 * value for value in space["kernel"]]}
    image = file.manifest.image | {"preprocessing": finer}
    path.write_bytes(to_bytes(replace(file.manifest, image=image), file.arrays, {})[0])
    manifest = encode(ours, out, steps=0, init=path, **HOW)
    assert manifest.image["preprocessing"] == finer
    assert np.array_equal(read(out).arrays["poster"], file.arrays["poster"])
    manifest = encode(theirs, out, steps=0, init=path, overwrite=True, **HOW)
    assert manifest.image["preprocessing"] == fit(images[1], "conv_whiten")


def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, digits: Source) -> None:
    images, labels = real(1)
    path, out = tmp_path / "a.ddset", tmp_path / "b.ddset"
    for words, x, y, names in (
        ("has images of 1x4x8, the source of 1x8x8", images[:, :, :4], labels, NAMES),
        ("has no class '9'", images, labels, (*NAMES[:9], "x")),
        ("has other classes too", images, labels, (*NAMES, "x")),
        ("no image of it is of the class '9'", images[:9], labels[:9], NAMES),
    ):
        pack(x, y, names, path, overwrite=True)
        with pytest.raises(UsageError, match=words):
            encode(digits, out, steps=0, init=path, **HOW)
    with pytest.raises(UsageError, match="`init` belongs to the codec podd"):
        encode(digits, out, codec="ppodd", init=path, ipc=1)
    assert not out.exists()


def test_a_checkpoint_of_another_beginning_is_refused(
    first: Path, tmp_path: Path, digits: Source
) -> None:
    out = tmp_path / "a.ddset"
    encode(digits, out, steps=6, time=1e-6, profile="paper", **HOW)
    with pytest.raises(CheckpointMismatch):
        encode(digits, out, steps=6, time=1e-6, profile="paper", init=first, resume=True, **HOW)


def test_a_broken_file_to_begin_from_is_named(digits: Source, tmp_path: Path) -> None:
    broken = tmp_path / "broken.ddset"
    broken.write_bytes(b"\x08\x00\x00")
    with pytest.raises(InvalidFile, match=r"broken\.ddset: "):
        encode(digits, ipc=0.4, out=tmp_path / "x.ddset", steps=1, init=broken)
