from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddcodec import sources
from ddcodec.errors import SourceError
from ddcodec.sources import Source, images

pytest.importorskip("pyarrow")

RANDOM = np.random.default_rng(6)
PIXELS = RANDOM.integers(0, 256, (8, 5, 4, 3), np.uint8)
Write = Callable[..., Path]


@pytest.fixture
def cells(tmp_path: Path) -> list[bytes]:
    """The images of PIXELS as lossless WebP."""
    stored = []
    for image in PIXELS:
        Image.fromarray(image).save(tmp_path / "one.webp", lossless=True, exact=True)
        stored.append((tmp_path / "one.webp").read_bytes())
    return stored


@pytest.mark.parametrize("image", ["img", "image"])
@pytest.mark.parametrize("label", ["label", "fine_label", "labels"])
def test_shards_give_pixels_labels_and_names_in_order(
    write_shard: Write, cells: list[bytes], image: str, label: str
) -> None:
    columns = {"image": image, "label": label, "names": ["ant", "bee"], "root": "pets"}
    write_shard("train-00001-of-00002.parquet", cells[3:5], [1, 1], **columns)
    write_shard("train-00000-of-00002.parquet", cells[:3], [0, 1, 0], **columns)
    root = write_shard("test-00000-of-00001.parquet", cells[5:], [1, 0, 1], **columns)
    source = sources.load(root)
    assert source.name == "pets"
    assert source.classes == ("ant", "bee")
    assert np.array_equal(source.train.images, PIXELS[:5])
    assert source.train.labels.tolist() == [0, 1, 0, 1, 1]
    assert np.array_equal(source.require_test().images, PIXELS[5:])
    assert source.require_test().labels.dtype == np.int64


def test_batches_join_without_a_seam(
    write_shard: Write, cells: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "BATCH", 3)
    monkeypatch.setattr("ddcodec.sources.parquet.BATCH", 2)
    write_shard("train-0.parquet", cells[:5], [0] * 5)
    root = write_shard("train-1.parquet", cells[5:], [0] * 3)
    assert np.array_equal(sources.load(root).train.images, PIXELS)


@pytest.mark.parametrize("name", ["test", "validation", "valid", "val"])
def test_the_test_split_may_be_called_validation(
    write_shard: Write, cells: list[bytes], name: str
) -> None:
    write_shard("data/train-0.parquet", cells[:2], [0, 1])
    root = write_shard(f"data/{name}-0.parquet", cells[2:], [0] * 6)
    assert len(sources.load(root).require_test()) == 6


def test_shards_are_found_in_a_folder_called_like_a_configuration(
    write_shard: Write, cells: list[bytes]
) -> None:
    write_shard("plain_text/train-0.parquet", cells[:2], [0, 1])
    root = write_shard("plain_text/test-0.parquet", cells[2:3], [0])
    assert sources.load(root).name == "shards"
    assert len(sources.load(root).require_test()) == 1


def test_a_test_split_without_labels_gives_way_to_validation(
    write_shard: Write, cells: list[bytes]
) -> None:
    write_shard("train-0.parquet", cells[:2], [0, 1])
    root = write_shard("test-0.parquet", cells[2:5], [-1, -1, -1])
    with pytest.raises(SourceError, match="label -1 of image 0 lies outside"):
        _ = sources.load(root).test
    write_shard("validation-0.parquet", cells[5:], [1, 0, 1])
    assert sources.load(root).require_test().labels.tolist() == [1, 0, 1]


def test_a_size_scales_every_image(write_shard: Write, cells: list[bytes]) -> None:
    root = write_shard("train-0.parquet", cells, [0] * 8)
    assert sources.load(root, size=3).train.images.shape == (8, 3, 3, 3)


def test_without_test_files_there_is_no_test_split(write_shard: Write, cells: list[bytes]) -> None:
    assert sources.load(write_shard("train-0.parquet", cells, [0] * 8)).test is None


def test_classes_without_names_are_numbered(write_shard: Write, cells: list[bytes]) -> None:
    source = sources.load(write_shard("train-0.parquet", cells[:3], [2, 0, 1]))
    assert source.classes == ("0", "1", "2")


def test_images_may_be_stored_as_plain_bytes(tmp_path: Path, cells: list[bytes]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"image": cells, "label": [0] * 8}), tmp_path / "train-0.parquet")
    assert np.array_equal(sources.load(tmp_path).train.images, PIXELS)


def test_asking_for_test_reads_no_training_shard(write_shard: Write, cells: list[bytes]) -> None:
    names = ["ant", "bee"]
    write_shard("train-0.parquet", cells[:2], [0, 1], names=names)
    write_shard("train-1.parquet", [b"broken"], [1], names=names)
    root = write_shard("test-0.parquet", cells[2:3], [0], names=names)
    source = sources.load(root)
    assert np.array_equal(source.require_test().images, PIXELS[2:3])
    with pytest.raises(SourceError, match=r"train-1\.parquet row 0: is not an image"):
        _ = source.train


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0.0, 1.5], "column 'label' is double"),
        ([False, True], "column 'label' is bool"),
        (["a", "b"], "column 'label' is string"),
        ([0, None], "column 'label' has empty rows"),
        ([[0], [1]], "column 'label' is list"),
        ([0, 7], "the label 7 but only 2 images"),
        ([0, -1], "the label -1"),
        ([1, 1], "class '0' has no training image"),
    ],
)
def test_labels_that_are_no_class_numbers_are_refused(
    write_shard: Write, cells: list[bytes], labels: list[Any], words: str
) -> None:
    root = write_shard("train-0.parquet", cells[:2], labels)
    with pytest.raises(SourceError, match=words):
        _ = sources.load(root).train


def test_a_label_beyond_the_class_names_is_refused(write_shard: Write, cells: list[bytes]) -> None:
    root = write_shard("train-0.parquet", cells[:2], [0, 2], names=["ant", "bee"])
    with pytest.raises(SourceError, match=r"label 2 of image 1 lies outside 0\.\.1"):
        _ = sources.load(root).train


def test_an_image_kept_outside_the_file_is_refused(write_shard: Write, cells: list[bytes]) -> None:
    outside = {"bytes": None, "path": "a.png"}
    root = write_shard("train-0.parquet", [cells[0], outside], [0, 0])
    with pytest.raises(SourceError, match=r"train-0\.parquet row 1: .*holds no image bytes"):
        _ = sources.load(root).train


def test_sizes_that_differ_between_shards_name_both_rows(
    write_shard: Write, cells: list[bytes], tmp_path: Path
) -> None:
    Image.fromarray(PIXELS[0][:3]).save(tmp_path / "low.png")
    write_shard("train-0.parquet", cells[:2], [0, 0])
    root = write_shard("train-1.parquet", [(tmp_path / "low.png").read_bytes()], [0])
    with pytest.raises(SourceError, match=r"train-1\.parquet row 0: is 4x3, but .*train-0.*row 0"):
        _ = sources.load(root).train


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"image": "picture"}, "has no image column, called img or image; it has picture, label"),
        ({"label": "class"}, "has no label column, called label or fine_label or labels"),
    ],
)
def test_a_missing_column_is_named(
    write_shard: Write, cells: list[bytes], columns: dict[str, str], words: str
) -> None:
    with pytest.raises(SourceError, match=words):
        sources.load(write_shard("train-0.parquet", cells, [0] * 8, **columns))


def test_a_shard_that_lacks_a_column_is_named(write_shard: Write, cells: list[bytes]) -> None:
    write_shard("train-0.parquet", cells[:2], [0, 0])
    root = write_shard("train-1.parquet", cells[:2], [0, 0], label="labels")
    with pytest.raises(SourceError, match=r"train-1\.parquet: has no column 'label'"):
        _ = sources.load(root).train


@pytest.mark.parametrize("file", ["train-0.parquet", "train-1.parquet"])
def test_a_broken_shard_is_named(write_shard: Write, cells: list[bytes], file: str) -> None:
    write_shard("train-0.parquet", cells, [0] * 8)
    root = write_shard("train-1.parquet", cells, [0] * 8)
    content = (root / file).read_bytes()
    (root / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match=f"{file}: cannot be read as a parquet file"):
        _ = sources.load(root).train


@pytest.mark.parametrize("checksum", [False, True])
def test_a_damaged_shard_gives_one_line_or_images(
    tmp_path: Path, cells: list[bytes], checksum: bool
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "train-0.parquet"
    table = pa.table({"image": cells, "label": [0, 1] * 4})
    pq.write_table(table, path, write_page_checksum=checksum)
    whole = path.read_bytes()
    refused = 0
    for at in range(0, len(whole), 5):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :])
        line, stack = "", PIXELS
        try:
            stack = sources.load(tmp_path).train.images
        except SourceError as refusal:
            line = str(refusal)
        refused += bool(line)
        assert "\n" not in line
        # With checksums no pixel changes unseen.
        assert line or not checksum or np.array_equal(stack, PIXELS)
    assert refused > len(whole) / 5 / 3


@pytest.mark.parametrize(
    ("images_", "labels", "words"),
    [(1, 2, "1 images from here on, 2 labels"), (2, 1, "one image more than there are labels")],
)
def test_columns_of_different_length_are_refused(
    cells: list[bytes], images_: int, labels: int, words: str
) -> None:
    encoded = [(f"row {i}", cell) for i, cell in enumerate(cells[:images_])]
    with pytest.raises(SourceError, match=words):
        images.decode_all(iter(encoded), labels)


def test_cifar10_test_images_are_the_real_ones(cifar10: Source) -> None:
    assert cifar10.name == "cifar10"
    assert cifar10.classes[:3] == ("airplane", "automobile", "bird")
    assert cifar10.classes[9] == "truck"
    test = cifar10.require_test()
    assert test.images.shape == (10000, 32, 32, 3)
    assert np.bincount(test.labels).tolist() == [1000] * 10
    assert test.labels[:4].tolist() == [3, 8, 8, 0]  # the official order: cat, ship, ship, plane
    assert "train" not in cifar10.__dict__


@pytest.mark.slow
def test_cifar100_is_read_by_its_fine_labels(cifar100: Source) -> None:
    assert len(cifar100.classes) == 100
    assert (cifar100.classes[0], cifar100.classes[99]) == ("apple", "worm")
    train = cifar100.train
    assert np.bincount(train.labels).tolist() == [500] * 100
    mean = train.images.mean(axis=(0, 1, 2), dtype=np.float64) / 255
    assert mean == pytest.approx([0.50707, 0.48655, 0.44092], abs=1e-5)
