from __future__ import annotations

import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ddcodec import sources
from ddcodec.errors import SourceError
from ddcodec.sources import npz
from ddcodec.sources.spelling import plain

IMAGES = np.random.default_rng(5).integers(0, 256, (6, 4, 3), np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def save(path: Path, **change: Any) -> Path:
    """A good file with some arrays changed, or left out where None."""
    arrays = {
        "train_images": IMAGES,
        "train_labels": LABELS,
        "test_images": IMAGES[:2],
        "test_labels": LABELS[:2],
        "class_names": np.array(["ant", "bee", "cat"]),
    }
    kept = {k: v for k, v in (arrays | change).items() if v is not None}
    np.savez_compressed(path / "toy.npz", **kept)
    return path / "toy.npz"


def read_all(path: Path) -> None:
    source = sources.load(path)
    _ = source.train, source.test


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), channels=st.sampled_from([None, 1, 3]))
def test_arrays_come_back_as_they_were_saved(
    tmp_path: Path, data: st.DataObject, channels: int | None
) -> None:
    shape = data.draw(st.tuples(st.integers(3, 6), st.integers(1, 5), st.integers(1, 5)))
    images = data.draw(hnp.arrays(np.uint8, shape if channels is None else (*shape, channels)))
    dtype = data.draw(st.sampled_from([np.uint8, np.int16, np.int64, np.uint64]))
    labels = np.resize(np.arange(3), shape[0]).astype(dtype)
    source = sources.load(save(tmp_path, train_images=images, train_labels=labels))
    assert np.array_equal(source.train.images, images.reshape(*shape, channels or 1))
    assert np.array_equal(source.train.labels, labels)
    assert source.train.labels.dtype == np.int64


def test_a_source_is_called_by_its_file_and_its_class_names(tmp_path: Path) -> None:
    source = sources.load(save(tmp_path))
    assert source.name == "toy"
    assert source.classes == ("ant", "bee", "cat")
    assert source.require_test().labels.tolist() == [0, 1]


def test_class_names_may_be_left_out(tmp_path: Path) -> None:
    assert sources.load(save(tmp_path, class_names=None)).classes == ("0", "1", "2")


def test_test_arrays_may_be_left_out(tmp_path: Path) -> None:
    assert sources.load(save(tmp_path, test_images=None, test_labels=None)).test is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train_images": None}, "no array 'train_images'; it holds class_names"),
        ({"train_labels": None}, "no array 'train_labels'"),
        ({"test_labels": None}, "has test_images alone"),
        ({"test_images": None}, "has test_labels alone"),
        ({"train_images": IMAGES / 255}, r"train_images are float64 6x4x3; .* save \(255 \* x\)"),
        ({"train_images": IMAGES.astype(int) - 1}, "train_images hold numbers from -1 to 2"),
        ({"train_images": IMAGES * np.uint16(16)}, "hold numbers from [0-9]+ to [34]...; scale"),
        ({"train_images": IMAGES > 0}, "train_images are bool 6x4x3; they must be uint8"),
        ({"train_images": IMAGES[0]}, "train_images are uint8 4x3"),
        ({"train_images": np.zeros((6, 4, 4, 2), np.uint8)}, "uint8 6x4x4x2"),
        (
            {"train_images": np.zeros((6, 3, 4, 4), np.uint8)},
            "6x3x4x4.*as transpose",
        ),
        ({"train_images": np.zeros((6, 4, 4, 4), np.uint8)}, "6x4x4x4.*leave the fourth out"),
        ({"train_images": IMAGES[:5]}, "5 images but labels of shape 6"),
        ({"train_images": np.zeros((6, 0, 3), np.uint8)}, "hold no pixel"),
        ({"train_labels": LABELS + 0.5}, "train_labels are float64 6; they must be whole"),
        ({"train_labels": LABELS * np.nan}, "train_labels are float64 6; they must be whole"),
        ({"train_labels": LABELS + 0j}, "train_labels are complex128 6; they must be whole"),
        ({"train_labels": np.array([b"\xff"] * 6)}, r"train_labels are \|S1 6; they must be whole"),
        ({"train_labels": np.eye(6, dtype=int)}, "train_labels are int64 6x6, several labels"),
        ({"train_labels": LABELS + 1}, r"label 3 of image 2 lies outside 0..2.*begin at 1, so sub"),
        (
            {"train_labels": LABELS + 1, "class_names": None},
            "class '0' has no training image; .*number the classes 0, 1, 2, ...: .* begin at 1",
        ),
        ({"train_labels": np.array(["ant", "bee", "cow"] * 2)}, "holds 'cow', which is no class"),
        (
            {"test_labels": np.array(["ant", "emu"]), "class_names": None},
            "test_labels: holds 'ant', which is no class; there are 0, 1, 2",
        ),
        ({"train_labels": LABELS - 1}, "label -1 of image 0"),
        ({"train_labels": LABELS - 1, "class_names": None}, "the label -1"),
        ({"train_labels": LABELS + 10**12, "class_names": None}, "only 6 images"),
        ({"train_labels": np.array([2**64 - 1] * 6, np.uint64)}, "label -1|outside"),
        ({"train_labels": np.zeros(6, int)}, "class 'bee' has no training image"),
        ({"train_images": IMAGES[:0], "train_labels": LABELS[:0]}, "has no images"),
        (
            {"train_images": IMAGES[:0], "train_labels": LABELS[:0], "class_names": None},
            "no images",
        ),
        ({"test_labels": LABELS[:2] + 2}, r"\(test\): label 3"),
        ({"test_images": IMAGES[:2, :3]}, "test images are 3x3x1, training images 4x3x1"),
        ({"class_names": np.array(["a", "b", "b"])}, "two classes are named 'b'"),
        ({"class_names": np.array([1, 2, 3])}, "class_names are int64 3"),
        ({"class_names": np.array([["a", "b"]])}, "class_names are <U1 1x2"),
        ({"class_names": np.array(["a", "b", "c"], object)}, "'class_names'.*Python objects"),
        ({"train_images": np.array([IMAGES, None], object)}, "'train_images'.*Python objects"),
    ],
)
def test_a_wrong_array_is_named(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = save(tmp_path, **change)
    with pytest.raises(SourceError, match=words) as refusal:
        read_all(path)
    assert "toy.npz" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<i8", ">u4", "u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_pixels_may_be_whole_numbers_of_any_type_and_order(
    tmp_path: Path, dtype: str, order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npz, "AT_ONCE", 100)
    images = np.asarray(IMAGES, dtype, order=order)
    source = sources.load(save(tmp_path, train_images=images, train_labels=LABELS.astype(">i4")))
    assert np.array_equal(source.train.images, IMAGES[..., None])
    assert source.train.images.dtype == np.uint8
    assert source.train.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (LABELS.astype(np.float32), ("0", "1", "2")),
        (LABELS > 0, ("0", "1")),
        (np.array(["fox", "ant", "eel"] * 2), ("ant", "eel", "fox")),
        (np.array(["é", "e\u0301", "a"] * 2), ("a", "é")),
        (np.array([b"fox", b"ant", b"eel"] * 2), ("ant", "eel", "fox")),
    ],
)
def test_labels_may_be_whole_floats_truths_and_names(
    tmp_path: Path, labels: Any, classes: tuple[str, ...]
) -> None:
    path = save(tmp_path, train_labels=labels, test_labels=labels[:2], class_names=None)
    source = sources.load(path)
    assert source.classes == classes
    names = [plain(x.decode() if isinstance(x, bytes) else str(x)) for x in labels.tolist()]
    if labels.dtype.kind not in "US":
        names = [str(int(x)) for x in labels]
    assert [classes[i] for i in source.train.labels] == names
    assert [classes[i] for i in source.require_test().labels] == names[:2]


def test_names_may_stand_in_an_order_of_their_own(tmp_path: Path) -> None:
    path = save(tmp_path, train_labels=np.array(["cat", "ant", "bee"] * 2))
    assert sources.load(path).train.labels.tolist() == [2, 0, 1] * 2


def test_the_names_that_keras_uses_are_known(tmp_path: Path) -> None:
    path = tmp_path / "mnist.npz"
    np.savez(path, x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:2], y_test=LABELS[:2, None])
    source = sources.load(path)
    assert source.train.labels.tolist() == LABELS.tolist()
    assert len(source.require_test()) == 2
    assert source.tested_on == "x_test"
    np.savez(path, x_train=IMAGES)
    with pytest.raises(SourceError, match="has no array 'y_train'; it holds x_train"):
        sources.load(path)


def test_reading_test_leaves_the_training_images_alone(tmp_path: Path) -> None:
    source = sources.load(save(tmp_path, train_images=IMAGES / 255))
    assert len(source.require_test()) == 2


@pytest.mark.parametrize("content", [b"PK\x03\x04 no archive", b"\x80\x04N."])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "toy.npz"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"toy\.npz: .*npz file"):
        sources.load(path)


def write_member(path: Path, header: str, content: bytes) -> Path:
    """A file whose train_images say ``header`` of ``content``."""
    raw = header.encode().ljust(117) + b"\n"
    with zipfile.ZipFile(save(path), "r") as good:
        rest = {n: good.read(n) for n in good.namelist() if n != "train_images.npy"}
    with zipfile.ZipFile(path / "toy.npz", "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in rest.items():
            file.writestr(name, data)
        start = b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little")
        file.writestr("train_images.npy", start + raw + content)
    return path / "toy.npz"


def test_an_array_is_refused_for_its_size_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("read")

    header = "{{'descr': '|u1', 'fortran_order': False, 'shape': {}, }}"
    huge = write_member(tmp_path, header.format((1 << 20, 1 << 20, 64)), bytes(64))
    source = sources.load(huge)
    monkeypatch.setattr(np.lib.format, "read_array", never)
    with pytest.raises(SourceError, match=r"toy\.npz: array 'train_images' .* is 7\d+ bytes"):
        _ = source.train


def test_what_unpacks_without_measure_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npz, "BOMB_BYTES", 1 << 20)
    path = save(tmp_path, train_images=np.zeros((6, 1000, 1000), np.uint8))
    with pytest.raises(SourceError, match=r"array 'train_images' .*\d+ bytes unpack to 6000000"):
        _ = sources.load(path).train


def test_more_than_memory_and_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddcodec.sources.on_disk.available_memory", lambda: 0)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=0))
    with pytest.raises(SourceError, match=r"'train_images': needs 0\.0 GiB on disk while"):
        _ = sources.load(save(tmp_path)).train


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "toy.npz").open("wb") as file:
        np.save(file, IMAGES)
    with pytest.raises(SourceError, match=r"is not an \.npz file; write one with numpy\.savez"):
        sources.load(tmp_path / "toy.npz")


def test_a_damaged_file_gives_one_line_or_the_same_images(tmp_path: Path) -> None:
    whole = save(tmp_path).read_bytes()
    path = tmp_path / "toy.npz"
    expected = sources.load(path).train.images
    refusals = []
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :])
        try:
            # A flip may hit a time stamp or test data, so whole training data must still agree.
            assert np.array_equal(sources.load(path).train.images, expected)
        except SourceError as refusal:
            refusals.append(str(refusal))
    assert len(refusals) > len(whole) / 7 / 4
    assert all(line.startswith(f"{path}: ") and "\n" not in line for line in refusals)
