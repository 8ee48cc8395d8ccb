"""Anyone's distilled images: packed in chunks, decoded to the bit."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ddcodec import InvalidFile, OutputError, UsageError, load, verify
from ddcodec.codecs.images.pack import pack
from ddcodec.format import ChunkReader, read
from ddcodec.preprocessing.transform import Preprocess
from tests.helpers import vectors

RANDOM = np.random.default_rng(3)
CLASSES = ("ant", "bee", "cat")
STANDARD = {"kind": "standardise", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3]}


def pictures(n: int = 11) -> np.ndarray:
    return RANDOM.integers(0, 256, (n, 3, 5, 4), dtype=np.uint8)


def soft(n: int = 11) -> np.ndarray:
    return RANDOM.random((n, 3), dtype=np.float32) + np.float32(0.01)


def test_bytes_come_back_and_are_preprocessed_as_the_file_says(tmp_path: Path) -> None:
    x, y = pictures(), soft()
    path = tmp_path / "a.ddset"
    pack(x, y, CLASSES, path, preprocessing=STANDARD, chunk=4)
    assert verify(path) == []
    assert np.array_equal(read(path).arrays["images"], x)
    ds = load(path)
    images = torch.stack([image for image, _ in ds])
    assert torch.equal(images, Preprocess(STANDARD, 3, 5, 4)(torch.from_numpy(x)))
    assert np.allclose(ds.soft_labels.numpy(), y / y.sum(1, keepdims=True), atol=1e-6)
    batch, _ = next(iter(ds.batches(11, shuffle=False)))
    assert torch.equal(batch, images)


def test_floats_are_the_samples_themselves(tmp_path: Path) -> None:
    x = RANDOM.normal(size=(7, 1, 3, 3)).astype(np.float32)
    pack(x, np.arange(7) % 3, CLASSES, tmp_path / "a.ddset")
    ds = load(tmp_path / "a.ddset")
    assert torch.equal(torch.stack([image for image, _ in ds]), torch.from_numpy(x))
    assert torch.equal(ds.soft_labels, torch.eye(3)[torch.arange(7) % 3])


def test_quantised_floats_are_off_by_half_a_level(tmp_path: Path) -> None:
    x = RANDOM.normal(size=(30, 1, 6, 6)).astype(np.float32)
    pack(x, np.zeros(30, int), CLASSES, tmp_path / "a.ddset", bits=6, chunk=7)
    images = load(tmp_path / "a.ddset").file.arrays["images"]
    assert np.abs(images - x).max() <= 0.51 * (x.max() - x.min()) / 63
    assert len(np.unique(images)) <= 64


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(1, 12))
def test_blocks_of_any_length_give_one_file(tmp_path: Path, sizes: list[int], chunk: int) -> None:
    count = sum(sizes)
    x, y = pictures(count), soft(count)
    ends = np.cumsum([0, *sizes])
    blocks = ((x[a:b], y[a:b]) for a, b in pairwise(ends))
    path = tmp_path / "a.ddset"
    if count == 0:
        with pytest.raises(UsageError, match="no images"):
            pack(blocks, None, CLASSES, path, chunk=chunk, overwrite=True)
        return
    pack(blocks, None, CLASSES, path, chunk=chunk, overwrite=True)
    found = path.read_bytes()
    assert np.array_equal(read(path).arrays["images"], x)
    pack(x, y, CLASSES, path, chunk=chunk, overwrite=True)
    assert path.read_bytes() == found


def test_chunks_of_images_and_labels_belong_together(tmp_path: Path) -> None:
    x, y = pictures(), soft()
    pack(x, y, CLASSES, tmp_path / "a.ddset", chunk=4)
    with ChunkReader(tmp_path / "a.ddset") as reader:
        assert reader.chunks("images") == reader.chunks("labels") == 3
        for i in range(3):
            begin, end = reader.rows("labels", i)
            assert np.array_equal(reader.read("images", i), x[begin:end])
            assert np.array_equal(reader.read("labels", i), y[begin:end])


@pytest.mark.parametrize(
    "kind",
    ["chunks", "class-indices", "colour", "float32", "quantised-chunks", "soft-labels"],
)
def test_every_kind_of_the_vectors_is_a_data_set(kind: str) -> None:
    ds = load(vectors.FOLDER / "valid" / f"images-{kind}.ddset")
    image, label = ds[-1]
    assert image.shape == ds.image_shape
    assert float(label.sum()) == pytest.approx(1)


HALF = torch.from_numpy(RANDOM.normal(size=(6, 3, 4, 5))).half()  # exact in every float but one
SOFT = torch.tensor([[0.5, 0.25, 0.25]] * 6)


@pytest.mark.parametrize(
    "images",
    [
        *(HALF, HALF.float(), HALF.double(), HALF.numpy(), HALF.double().numpy(), list(HALF)),
        *(HALF.float().requires_grad_(), HALF.to(memory_format=torch.channels_last)),
        *(HALF.flip(0).numpy()[::-1], torch.nn.Parameter(HALF), [x.numpy() for x in HALF]),
    ],
)
def test_floats_of_any_kind_are_packed_the_same(tmp_path: Path, images: object) -> None:
    pack(images, SOFT, CLASSES, tmp_path / "a.ddset")
    stored = read(tmp_path / "a.ddset").arrays["images"]
    assert stored.dtype == np.float32
    assert np.array_equal(stored, HALF.float().numpy())


def test_bfloat16_and_a_conjugate_view_of_one_are_packed(tmp_path: Path) -> None:
    images = HALF.bfloat16()
    pack(images, SOFT.bfloat16(), CLASSES, tmp_path / "a.ddset")
    found = read(tmp_path / "a.ddset").arrays
    assert np.array_equal(found["images"], images.float().numpy())
    assert np.array_equal(found["labels"], SOFT.numpy())


@pytest.mark.parametrize("kind", ["uint8", "int8", "int16", "uint16", "int32", "int64", "uint64"])
@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy])
def test_whole_numbers_of_any_width_are_packed_the_same(
    tmp_path: Path, kind: str, make: type
) -> None:
    x, y = pictures(6) // 2, np.arange(6) % 3
    pack(make(x.astype(kind)), make(y.astype(kind)), CLASSES, tmp_path / "a.ddset")
    found = read(tmp_path / "a.ddset").arrays
    assert found["images"].dtype == np.uint8
    assert np.array_equal(found["images"], x)
    assert np.array_equal(found["labels"], y)


@pytest.mark.parametrize(
    "labels",
    [
        *([0, 1, 2], (0, 1, 2), np.array([[0], [1], [2]]), torch.arange(3)[:, None], None),
        *(torch.eye(3, requires_grad=True), torch.eye(3, dtype=torch.int64), np.eye(3).tolist()),
    ],
)
def test_labels_of_any_kind_are_packed(tmp_path: Path, labels: object) -> None:
    pack(torch.zeros(3, 1, 4, 4), labels, CLASSES, tmp_path / "a.ddset")
    assert torch.equal(load(tmp_path / "a.ddset").soft_labels, torch.eye(3))


def test_blocks_of_tensors_are_packed(tmp_path: Path) -> None:
    x = torch.from_numpy(pictures(6))
    blocks = zip(x.split(4), torch.arange(6).split(4), strict=True)
    pack(blocks, None, ["a", "b", "c", "d", "e", "f"], tmp_path / "a.ddset")
    assert np.array_equal(read(tmp_path / "a.ddset").arrays["images"], x.numpy())


def test_numbers_and_settings_of_numpy_and_torch_are_taken(tmp_path: Path) -> None:
    x = RANDOM.normal(size=(6, 3, 4, 4)).astype(np.float32)
    pack(
        x,
        np.arange(6) % 3,
        np.array(CLASSES),
        tmp_path / "a.ddset",
        bits=np.int64(8),
        chunk=torch.tensor(4),
        level=np.uint8(3),
        preprocessing={"kind": "standardise", "mean": np.full(3, 0.5), "std": torch.ones(3)},
        recipe={"steps": np.int32(7), "optimizer": {"name": "adam", "lr": np.float64(0.5)}},
    )
    manifest = read(tmp_path / "a.ddset").manifest
    assert manifest.image["preprocessing"]["std"] == [1.0, 1.0, 1.0]
    assert manifest.recipe["steps"] == 7
    assert manifest.recipe["optimizer"]["lr"] == 0.5
    assert manifest.classes == CLASSES


WRONG = [
    ((pictures(), None, CLASSES), {}, UsageError, "11 images of 3 classes need labels"),
    ((pictures()[0], soft(3), CLASSES), {}, UsageError, "they must be"),
    ((pictures() > 99, soft(), CLASSES), {}, UsageError, "uint8 or float32"),
    ((pictures().astype(int) + 1, soft(), CLASSES), {}, UsageError, "0..255"),
    ((pictures() * np.nan, soft(), CLASSES), {}, UsageError, "not finite"),
    ((pictures() * 1e39, soft(), CLASSES), {}, UsageError, "not finite"),
    ((torch.full((3, 1, 2, 2), torch.inf), None, CLASSES), {"bits": 4}, UsageError, "not finite"),
    ((pictures(), soft() * np.inf, CLASSES), {}, UsageError, "not finite"),
    ((pictures().transpose(0, 2, 3, 1), soft(), CLASSES), {}, UsageError, "channels last"),
    ((np.zeros((11, 4, 5, 5), np.uint8), soft(), CLASSES), {}, UsageError, "1 or 3 channels"),
    ((torch.zeros(3, 1, 2, 2), torch.arange(3) + 2**32, CLASSES), {}, UsageError, "out of range"),
    ((pictures(1), np.array([2**63], np.uint64), CLASSES), {}, UsageError, "out of range"),
    ((pictures(2), np.array([0, -1]), CLASSES), {}, UsageError, "label -1 of image 1"),
    ((pictures(), soft(), "abc"), {}, UsageError, "names of all classes"),
    (([pictures(1)[0], pictures(1)[0]], None, CLASSES), {}, UsageError, "not pairs"),
    (([], np.zeros(0, int), CLASSES), {}, UsageError, "no images"),
    ((pictures(), object(), CLASSES), {}, UsageError, "labels"),
    ((pictures(), soft(5), CLASSES), {}, UsageError, "11 images but 5 labels"),
    ((pictures(), np.array(["a"] * 11), CLASSES), {}, UsageError, "labels are"),
    ((pictures(), soft(), CLASSES), {"bits": 4}, UsageError, "float32 array"),
    ((pictures(), soft(), CLASSES), {"bits": 9}, UsageError, "`bits` must be from 2 to 8, got 9"),
    ((pictures(), soft(), CLASSES), {"chunk": 0}, UsageError, "1 to 1048576, got 0"),
    ((pictures(), soft(), CLASSES), {"level": 20}, UsageError, "`level` must be from 1 to 19"),
    ((iter([(pictures(2), soft(2))]), soft(2), CLASSES), {}, UsageError, "pass None"),
    ((iter([(pictures(2), soft(1))]), None, CLASSES), {}, UsageError, "2 images has 1"),
    (
        (iter([(pictures(2), soft(2)), (pictures(2)[:, :1], soft(2))]), None, CLASSES),
        {"chunk": 8},
        UsageError,
        "alike",
    ),
    ((pictures(), -soft(), CLASSES), {}, InvalidFile, "negative"),
    ((pictures(), np.full(11, 3), CLASSES), {}, UsageError, "out of range"),
    ((pictures(), soft(), ("a", "a", "b")), {}, InvalidFile, "distinct"),
]


@pytest.mark.parametrize(("arguments", "settings", "error", "words"), WRONG)
def test_what_cannot_be_packed_leaves_no_file(
    tmp_path: Path, arguments: tuple, settings: dict, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        pack(*arguments, tmp_path / "a.ddset", **settings)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.ddset"
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists"):
        pack(pictures(), soft(), CLASSES, path)
    with pytest.raises(OutputError, match="none does not exist"):
        pack(pictures(), soft(), CLASSES, tmp_path / "none" / "a.ddset")
    assert path.read_bytes() == b"mine"
