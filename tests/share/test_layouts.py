"""Every layout: import, train, decode, import again; and all that can be wrong with one."""

from __future__ import annotations

import hashlib
import os
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ddcodec import InvalidFile, LimitExceeded, SourceError, UsageError, info, load, pack, verify
from ddcodec.codecs.options import Common
from ddcodec.data.export import LAYOUTS, Decoded
from ddcodec.evaluate.measure import train_students
from ddcodec.format import restate
from ddcodec.inspection.published import published
from ddcodec.share.importing import Imported, import_set
from ddcodec.share.layouts import find, torch_files
from ddcodec.share.options import Import
from ddcodec.sources import Source
from tests.helpers import published_sets as made
from tests.helpers.published_sets import MEANS, real, soft, standardised
from tests.helpers.vectors import several_networks


def taken(path: Path, out: Path, **options: Any) -> Imported:
    return import_set(path, out, Import(**({"source": "digits"} | options)), Common())


def samples(path: Path) -> str:
    """The digest of all images and labels as networks see them."""
    ds = load(path)
    whole = hashlib.sha256()
    for image, label in ds:
        whole.update(image.numpy().tobytes())
        whole.update(label.numpy().tobytes())
    return whole.hexdigest()


@pytest.fixture(scope="module", params=list(made.ALL))
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, made.Written, Imported]:
    """A file that was imported, from what, and what was said."""
    if not made.available(request.param):
        pytest.skip(f"{request.param} needs a library that is not installed")
    folder = tmp_path_factory.mktemp("published")
    given = made.ALL[request.param][0](folder)
    out = folder / "out.ddset"
    return out, given, taken(given.path, out, **given.options)


def test_a_layout_becomes_a_valid_file_that_trains(
    written: tuple[Path, made.Written, Imported], digits: Source
) -> None:
    out, known, _ = written
    assert verify(out) == []
    facts = info(out)
    assert (facts["codec"], facts["classes"]) == (known.codec, 10)
    ds = load(out)
    assert len(ds) == known.count
    assert ds.classes == digits.classes
    result = train_students(ds, digits.require_test(), nets=1, steps=2, device="cpu")
    assert 0 <= result.mean <= 1


def test_what_is_decoded_and_imported_again_has_the_same_samples(
    written: tuple[Path, made.Written, Imported], tmp_path: Path
) -> None:
    out, _, _ = written
    restate(out, **several_networks())
    again = tmp_path / "again.ddset"
    LAYOUTS["npz"](Decoded(out), tmp_path)
    import_set(tmp_path / "data.npz", again, Import(), Common())
    assert samples(again) == samples(out)
    ours, theirs = load(out).manifest, load(again).manifest
    assert (ours.classes, ours.source, ours.recipe) == (
        theirs.classes,
        theirs.source,
        theirs.recipe,
    )
    assert ours.image == theirs.image
    assert (ours.measured, ours.measured_networks) == (theirs.measured, theirs.measured_networks)


@pytest.mark.parametrize("to", ["imagefolder", "parquet"])
def test_pictures_that_were_decoded_come_back_where_the_file_held_bytes(
    tmp_path: Path, to: str
) -> None:
    if to == "parquet":
        pytest.importorskip("pyarrow")
    given = made.folders_with_labels(tmp_path)
    out, again = tmp_path / "a.ddset", tmp_path / "b.ddset"
    taken(given.path, out)
    folder = tmp_path / "decoded"
    folder.mkdir()
    LAYOUTS[to](Decoded(out), folder)
    import_set(folder, again, Import(), Common())
    assert samples(again) == samples(out)
    floats = tmp_path / "floats.ddset"
    taken(made.dc(tmp_path).path, floats, means=MEANS)
    other = tmp_path / "other"
    other.mkdir()
    LAYOUTS[to](Decoded(floats), other)
    with pytest.raises(InvalidFile, match="decode --to npz"):
        import_set(other, tmp_path / "c.ddset", Import(), Common())


def test_values_and_labels_are_those_that_were_published(tmp_path: Path) -> None:
    images, labels = standardised()
    out = tmp_path / "a.ddset"
    result = taken(made.dc(tmp_path).path, out, means=MEANS, quality="lossless")
    ds = load(out)
    assert torch.equal(torch.stack([x for x, _ in ds]), torch.from_numpy(images))
    assert torch.equal(ds.soft_labels.argmax(1), torch.from_numpy(labels))
    assert result.space == f"mean-std={MEANS}"
    assert ds.manifest.image["preprocessing"]["mean"] == [made.MEAN]
    assert published(ds.manifest)["stated"] == {"accuracy": 0.265, "network": "ConvNet"}
    taken(made.dc(tmp_path).path, tmp_path / "b.ddset", means=MEANS)
    stored = torch.stack([x for x, _ in load(tmp_path / "b.ddset")]).numpy()
    assert np.abs(stored - images).max() <= 0.51 * np.ptp(images) / 255
    assert (tmp_path / "b.ddset").stat().st_size < out.stat().st_size


def test_logits_become_shares_and_their_learning_rate_the_recipe(tmp_path: Path) -> None:
    taken(made.datm(tmp_path).path, tmp_path / "a.ddset", means=MEANS)
    ds = load(tmp_path / "a.ddset")
    logits = 5 * np.log(soft(standardised()[1]).astype(np.float64))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert np.allclose(ds.soft_labels.numpy(), shares, atol=1e-6)
    assert ds.manifest.recipe["optimizer"] == {"name": "sgd", "lr": 0.0213, "weight_decay": 0.0005}
    assert ds.manifest.recipe["steps"] == 1000


def test_centred_labels_are_moved_back(tmp_path: Path) -> None:
    taken(made.kip(tmp_path).path, tmp_path / "a.ddset", means=MEANS)
    assert load(tmp_path / "a.ddset").manifest.labels["kind"] == "index"
    taken(made.frepo(tmp_path).path, tmp_path / "b.ddset", means=MEANS)
    assert np.allclose(load(tmp_path / "b.ddset").soft_labels, soft(real()[1]), atol=1e-6)


def test_mosaics_become_cells_with_the_label_of_all(tmp_path: Path) -> None:
    given = made.rded(tmp_path)
    taken(given.path, tmp_path / "a.ddset", factor=2)
    ds = load(tmp_path / "a.ddset")
    wanted = np.repeat(soft(real()[1]), 5, 0)
    # Symbols keep each share within 2.2 % of its ratio to the largest one.
    assert np.allclose(ds.soft_labels, wanted, rtol=0.06)
    assert ds.manifest.codec["params"] == {"cells": [2, 2], "filter": "bilinear"}


def test_mosaics_in_another_space_go_back_to_pixels(tmp_path: Path) -> None:
    images, labels = real()
    shown = ((made.mosaic(images) - made.MEAN) / made.STD).astype(np.float32)
    path = tmp_path / "data.pt"
    torch.save([torch.from_numpy(shown), torch.from_numpy(labels)], path)
    taken(path, tmp_path / "a.ddset", means=MEANS, factor=2)
    stored = load(tmp_path / "a.ddset").file.arrays["images"]
    assert np.array_equal(stored, np.rint(made.mosaic(images) * 255).astype(np.uint8))
    with pytest.raises(UsageError, match="mosaics are stored in bytes"):
        taken(path, tmp_path / "b.ddset", space="zca", factor=2)


def test_a_decoded_set_may_lack_a_class(tmp_path: Path) -> None:
    images, labels = real()
    own = np.eye(10, dtype=np.float32)[labels[2:]]
    pack(images[2:], own, list("0123456789"), tmp_path / "a.ddset")
    LAYOUTS["npz"](Decoded(tmp_path / "a.ddset"), tmp_path)
    import_set(tmp_path / "data.npz", tmp_path / "b.ddset", Import(), Common())
    assert samples(tmp_path / "a.ddset") == samples(tmp_path / "b.ddset")


def test_each_patch_of_a_poster_has_the_label_of_its_cell(tmp_path: Path) -> None:
    given = made.podd(tmp_path)
    taken(given.path, tmp_path / "a.ddset", means=MEANS, patches=(5, 2), quality="lossless")
    ds = load(tmp_path / "a.ddset")
    images, _ = standardised()
    for index in range(10):
        across, down = divmod(index, 2)
        label = 5 * down + across
        assert int(ds.soft_labels[index].argmax()) == label
        assert np.array_equal(ds[index][0].numpy(), images[2 * label])


def test_numbered_folders_are_classes_of_their_numbers(tmp_path: Path) -> None:
    given = made.folders(tmp_path)
    for label in range(10):  # as text, 10 comes before 2
        (given.path / str(label)).rename(given.path / f"new{label + 1}")
    (given.path / "new10").rename(given.path / "new0")
    taken(given.path, tmp_path / "a.ddset", classes="a,b,c,d,e,f,g,h,i,j", source=None)
    ds = load(tmp_path / "a.ddset")
    assert ds.soft_labels.argmax(1)[:6].tolist() == [0, 0, 1, 1, 2, 2]
    assert ds.classes[0] == "a"
    (given.path / "new4").rename(given.path / "new11")
    with pytest.raises(UsageError, match="has 12 classes, 10 are named"):
        taken(given.path, tmp_path / "b.ddset", classes="a,b,c,d,e,f,g,h,i,j", source=None)


def test_named_folders_are_the_classes_of_that_name(tmp_path: Path) -> None:
    given = made.folders(tmp_path)
    for label in range(10):
        (given.path / str(label)).rename(given.path / "jihgfedcba"[label])
    taken(given.path, tmp_path / "a.ddset", classes="c,d,e,f,g,h,i,j,a,b", source=None)
    assert load(tmp_path / "a.ddset").soft_labels.argmax(1)[:4].tolist() == [8, 8, 9, 9]
    names = tmp_path / "names.txt"
    names.write_text("\n".join("abcdefghij"))
    taken(given.path, tmp_path / "b.ddset", classes=str(names), source=None)
    assert load(tmp_path / "b.ddset").soft_labels.argmax(1)[:2].tolist() == [0, 0]


@pytest.mark.parametrize("ending", ["npz", "npy", "pt"])
def test_labels_may_lie_in_a_file_of_any_name(tmp_path: Path, ending: str) -> None:
    images, labels = standardised()
    torch.save(torch.from_numpy(images), tmp_path / "x.pt")
    np.savez(tmp_path / "only.npz", images=images)
    table = tmp_path / f"y.{ending}"
    if ending == "npz":
        np.savez(table, labels=soft(labels))
    elif ending == "npy":
        np.save(table, soft(labels))
    else:
        torch.save(torch.from_numpy(soft(labels)), table)
    for name in ("x.pt", "only.npz"):
        taken(tmp_path / name, tmp_path / f"{name}.ddset", means=MEANS, labels_file=table)
        assert np.allclose(load(tmp_path / f"{name}.ddset").soft_labels, soft(labels), atol=1e-6)


class Command:
    def __reduce__(self) -> Any:
        return os.mkdir, ("made-by-a-pickle",)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "wrap", [lambda x: x, lambda x: [torch.zeros(3), x], lambda x: {"data": x}]
)
def test_a_pickle_that_calls_anything_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool, wrap: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "images_best.pt"
    torch.save(wrap(Command()), path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InvalidFile, match=r"asks for '\w+ mkdir', .*; nothing of it was run"):
        find(path)
    assert not (tmp_path / "made-by-a-pickle").exists()


IMAGES, LABELS = (torch.from_numpy(x) for x in standardised())
WHOLE = torch.tensor(0)
BROKEN: dict[str, tuple[Any, str]] = {
    "wrong rank": ([IMAGES[:, 0], LABELS], "images are 20x8x8; they must be"),
    "channels": ([IMAGES.expand(-1, 2, -1, -1), LABELS], "must have 1 or 3 channels"),
    "no images": ([IMAGES[:0], LABELS[:0]], "they must be"),
    "NaN": ([IMAGES / 0, LABELS], "images hold values that are not finite"),
    "infinite labels": ([IMAGES, torch.eye(10)[LABELS] / 0], "labels hold values that are not"),
    "missing classes": ([IMAGES[:18], LABELS[:18]], "no image of class 9; it has images of 9 of"),
    "a class too many": ([IMAGES, LABELS + 1], "label 10 of image 18 lies outside 0..9"),
    "a negative class": ([IMAGES, LABELS - 1], "label -1 of image 0 lies outside"),
    "labels that disagree": ([IMAGES, LABELS[:-1]], "20 images but 19 labels"),
    "labels of fewer classes": ([IMAGES, torch.eye(9)[LABELS % 9]], "of 9 classes, 10 are named"),
    "labels of neither kind": ([IMAGES, torch.eye(10)[LABELS] * 3 - 1], "say `scores`=logits"),
    "half labels": ([IMAGES, LABELS + 0.5], "no whole numbers"),
    "an empty label": ([IMAGES, torch.zeros(20, 10)], "the label of image 0 is all zero"),
    "no pair": ({"data": [[IMAGES]]}, "no list of pairs"),
    "text": ("hello", "holds no tensor"),
    "images alone": (IMAGES, "holds images and no labels"),
    "far mosaics": ({"data": IMAGES * 9, "label": LABELS}, "far outside of 0 to 1"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_contradicts_itself_is_one_line(tmp_path: Path, name: str) -> None:
    value, words = BROKEN[name]
    path, out = tmp_path / "data.pt", tmp_path / "a.ddset"
    torch.save(value, path)
    with pytest.raises(InvalidFile) as raised:
        taken(path, out, means=MEANS)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not out.exists()


def test_damaged_and_other_files_are_refused(tmp_path: Path) -> None:
    given = made.dc(tmp_path)
    data = given.path.read_bytes()
    for cut in (10, 300, len(data) // 2, len(data) - 30):
        given.path.write_bytes(data[:cut])
        with pytest.raises(InvalidFile):
            find(given.path)
    given.path.write_text("not a set")
    with pytest.raises(InvalidFile, match="in no layout that is known"):
        find(given.path)
    with pytest.raises(SourceError, match="no such file"):
        find(tmp_path / "nothing.pt")
    with pytest.raises(InvalidFile, match="has no class folders"):
        find(tmp_path)


def rewritten(path: Path, name: str, content: bytes, packed: bool = False) -> None:
    """Put other content into a member of a ``torch.save``."""
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    full = next(each for each in members if each.endswith(name))
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as archive:
        for each, old in members.items():
            archive.writestr(each, content if each == full else old)


def test_a_tensor_may_not_reach_beyond_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save(torch.arange(4.0).reshape(2, 2), path)
    assert torch_files.read(path).tolist() == [[0, 1], [2, 3]]
    with zipfile.ZipFile(path) as archive:
        pickled = archive.read("a/data.pkl")
    strides = b"K\x02K\x01\x86"  # (2, 1), which becomes (200, 1)
    rewritten(path, "data.pkl", pickled.replace(strides, b"K\xc8K\x01\x86", 1))
    with pytest.raises(InvalidFile, match="reaches beyond its numbers"):
        torch_files.read(path)


def test_numbers_of_another_size_are_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save(torch.zeros(4), path)
    rewritten(path, "data/0", bytes(1 << 24), packed=True)
    with pytest.raises(InvalidFile, match="has another size than it says"):
        torch_files.read(path)
    torch.save(torch.zeros(1).expand(1 << 20, 1 << 20), path)
    with pytest.raises(LimitExceeded, match="tensors of more than"):
        torch_files.read(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_of_all_kinds_come_back(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "a.pt"
    kinds = [torch.float64, torch.float16, torch.int8, torch.int16, torch.int32, torch.bool]
    numbers = torch.arange(6).reshape(2, 3)
    value = {
        "kinds": [numbers.to(kind) for kind in kinds],
        "turned": numbers.T[1:],
        "short": torch.tensor([1.5, -2.0]).bfloat16(),
        "learned": torch.nn.Parameter(torch.ones(2)),
        "array": np.arange(3.0),
        "plain": ("x", 3, None, np.float64(0.5)),
    }
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    found = torch_files.read(path)
    for ours, theirs in zip(found["kinds"], value["kinds"], strict=True):
        assert np.array_equal(ours, theirs.numpy())
        assert ours.dtype == theirs.numpy().dtype
    assert found["turned"].tolist() == [[1, 4], [2, 5]]
    assert found["short"].tolist() == [1.5, -2.0]
    assert found["learned"].tolist() == [1.0, 1.0]
    assert found["array"].tolist() == [0.0, 1.0, 2.0]
    assert found["plain"] == ["x", 3, None, 0.5]


@given(st.integers(0, 10**6), st.integers(0, 255), st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_byte_is_read_or_refused(
    tmp_path: Path, place: int, value: int, zipped: bool
) -> None:
    path = tmp_path / "a.pt"
    torch.save([torch.zeros(2, 1, 2, 2), torch.arange(2)], path,
               _use_new_zipfile_serialization=zipped)  # fmt: skip
    data = bytearray(path.read_bytes())
    data[place % len(data)] = value
    path.write_bytes(bytes(data))
    with suppress(InvalidFile):
        torch_files.read(path)


def test_what_is_not_said_is_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "a.ddset"
    path = made.dc(tmp_path).path
    with pytest.raises(UsageError, match="`classes`=a,b,c or name the `source`"):
        taken(path, out, source=None)
    with pytest.raises(UsageError, match="say `space`=pixels, mean-std"):
        taken(path, out, source=None, classes="0,1,2,3,4,5,6,7,8,9")
    with pytest.raises(UsageError, match="`space`=mean-std needs `means`"):
        taken(path, out, space="mean-std")
    with pytest.raises(UsageError, match="3 channels, the images have 1"):
        taken(path, out, means="cifar10")
    with pytest.raises(UsageError, match="`factor`=2"):
        taken(made.idc(tmp_path).path, out)
    with pytest.raises(UsageError, match="`order`=paper"):
        taken(made.podd_fixed(tmp_path).path, out, means=MEANS)
    with pytest.raises(UsageError, match="`measure` needs real images"):
        taken(path, out, source=None, measure=True)
    with pytest.raises(UsageError, match="`space`=zca: these images are pixels"):
        taken(made.plain(tmp_path).path, out, space="zca")
    # What cannot be measured is said before anything is written.
    images, labels = real()
    untested = tmp_path / "untested.npz"
    np.savez(untested, train_images=made.colours(images), train_labels=labels)
    with pytest.raises(SourceError, match="has no test split"):
        taken(path, out, source=str(untested), means=MEANS, measure=True)
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cite": "a nice paper"}, "neither an arXiv id nor a DOI"),
        ({"means": "cifar11"}, "`means`=cifar11: write one of"),
        ({"means": "0.5/0"}, "standard deviations must be positive"),
        ({"means": MEANS, "space": "zca"}, "`means` are those of mean-std, not of `space`=zca"),
        ({"order": "none.txt"}, "`order`=none.txt: neither a rule"),
        ({"measure": True, "source": None}, "`measure` needs real images"),
    ],
)
def test_what_is_wrong_in_an_argument_is_said_before_anything_is_read(
    tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        taken(tmp_path / "nothing.pt", tmp_path / "a.ddset", **options)


def test_a_device_that_is_none_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown device 'tpu'"):
        import_set(tmp_path / "nothing.pt", tmp_path / "a.ddset", Import(), Common(device="tpu"))


def test_licence_citation_and_place_stand_in_the_file(tmp_path: Path) -> None:
    out = tmp_path / "a.ddset"
    given = made.dc(tmp_path)
    taken(given.path, out, means=MEANS, license="MIT", cite="2006.05929",
          url="https://example.org/sets", stated=31.5, stated_network="ConvNetD2")  # fmt: skip
    manifest = load(out).manifest
    assert manifest.license == "MIT"
    assert published(manifest) == {
        "cite": "arXiv:2006.05929",
        "url": "https://example.org/sets",
        "stated": {"accuracy": 0.315, "network": "ConvNetD2"},
    }
    assert info(out)["published"] == published(manifest)
    assert "--means 0.3/0.37" in manifest.provenance["command"]
    restate(out, ignorable={"published": {"url": "x\x1b[2J", "stated": {"accuracy": 7}, "cite": 3}})
    assert published(load(out).manifest) == {}
    restate(out, ignorable={"published": "everything", "other": 1})
    assert published(load(out).manifest) == {}


def test_accuracy_is_measured_and_recorded(tmp_path: Path, digits: Source) -> None:
    out = tmp_path / "a.ddset"
    result = taken(made.folders(tmp_path).path, out, measure=True, nets=2, steps=3)
    assert result.measured is not None
    recorded = load(out).manifest.measured
    assert recorded is not None
    assert recorded["accuracy_mean"] == round(result.measured.mean, 4)
    assert (recorded["nets"], recorded["steps"], recorded["test"]) == (2, 3, "digits")
    assert result.manifest == load(out).manifest
    assert replace(result, measured=None).kind.startswith("RDED")


def test_a_file_of_this_format_and_a_shortened_archive_are_named(
    digits_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"is a \.ddset file already"):
        find(digits_file)
    whole = tmp_path / "set.npz"
    np.savez(whole, images=np.zeros((2, 1, 4, 4), np.uint8), labels=np.arange(2))
    short = tmp_path / "short.pt"
    short.write_bytes(whole.read_bytes()[:200])
    with pytest.raises(InvalidFile, match="cut short or damaged"):
        find(short)
