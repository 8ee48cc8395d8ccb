"""Data sets of torch and of Hugging Face ``datasets`` as sources, whatever their items are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
)

from ddcodec import SourceError, UsageError, encode, load
from ddcodec.evaluate import train_students
from ddcodec.sources import find_again, on_disk
from ddcodec.sources import load as load_source

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 5, 6, 3), dtype=np.uint8)
LABELS = np.arange(9) % 3
FIRST = torch.from_numpy(PIXELS.transpose(0, 3, 1, 2).copy())


class Items(Dataset):
    """A data set of items, as torchvision has them: ``classes`` where they have names."""

    def __init__(self, images: Any, labels: Any = LABELS, classes: Any = None) -> None:
        self.images, self.labels = images, labels
        if classes is not None:
            self.classes = classes

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index >= len(self.images):
            raise IndexError
        return self.images[index], self.labels[index]


class Rows(Items):
    """A data set of rows, as those of Hugging Face are."""

    def __init__(self, columns: dict[str, Any], features: dict[str, Any]) -> None:
        self.columns, self.features = columns, features

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {name: column[index] for name, column in self.columns.items()}


KINDS = {
    "arrays": PIXELS,
    "tensors": FIRST,
    "channels-last tensors": torch.from_numpy(PIXELS),
    "channels-first arrays": FIRST.numpy(),
    "pictures": [Image.fromarray(x) for x in PIXELS],
    "wide integers": FIRST.to(torch.int64),
    "floats": FIRST.float() / 255,
    "halves": (FIRST.double() / 255).half(),
    "doubles of numpy": PIXELS / 255,
    "lists": PIXELS.tolist(),
}


@pytest.mark.parametrize("images", KINDS.values(), ids=KINDS)
def test_images_of_any_kind_are_the_same_pixels(images: Any) -> None:
    source = load_source(Items(images))
    assert np.array_equal(source.train.images, PIXELS)
    assert source.train.labels.tolist() == LABELS.tolist()
    assert source.classes == ("0", "1", "2")
    assert source.test is None


@pytest.mark.parametrize(
    "labels",
    [
        *(LABELS.tolist(), LABELS.astype(np.uint8), torch.from_numpy(LABELS)),
        *(torch.from_numpy(LABELS)[:, None], LABELS[:, None]),
    ],
)
def test_classes_of_any_kind_are_whole_numbers(labels: Any) -> None:
    assert load_source(Items(PIXELS, labels)).train.labels.tolist() == LABELS.tolist()


def test_every_byte_comes_back_from_a_float() -> None:
    whole = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    for made in (torch.from_numpy(whole).float() / 255, torch.from_numpy(whole).float().div(255.0)):
        assert np.array_equal(load_source(Items([made], [0])).train.images[0, ..., 0], whole[0])


def test_tensor_data_sets_and_parts_of_data_sets_are_read(tmp_path: Path) -> None:
    grey = TensorDataset(FIRST[:, :1].float() / 255, torch.from_numpy(LABELS))
    source = load_source(grey)
    assert source.name == "TensorDataset"
    assert np.array_equal(source.train.images, PIXELS[..., :1])
    named = Items(FIRST, classes=["cat", "dog", "owl"])
    for part in (
        Subset(named, range(6)),
        ConcatDataset([Subset(named, [0, 1]), Subset(named, [2])]),
    ):
        assert load_source(part).classes == ("cat", "dog", "owl")
        assert len(load_source(part).train) == len(part)
    assert load_source(Subset(named, range(6))).name == "Items"


def test_named_classes_are_read_lazily() -> None:
    read = []

    class Watched(Items):
        def __getitem__(self, index: int) -> tuple[Any, Any]:
            read.append(index)
            return super().__getitem__(index)

    source = load_source(Watched(FIRST, classes=[("a", "first"), ("b",), ("c",)]))
    assert source.classes == ("a, first", "b", "c")
    assert read == []
    assert len(source.train) == 9
    assert sorted(set(read)) == list(range(9))


def test_rows_with_features_say_their_columns() -> None:
    names = SimpleNamespace(names=["x", "y", "z"])
    columns = {"id": range(9), "picture": PIXELS, "label": [7] * 9, "kind": LABELS}
    features = {
        "id": SimpleNamespace(),
        "picture": type("Image", (), {})(),
        "label": SimpleNamespace(),
        "kind": names,
    }
    source = load_source(Rows(columns, features))
    assert source.classes == ("x", "y", "z")
    assert source.train.labels.tolist() == LABELS.tolist()


def test_rows_without_features_have_usual_names() -> None:
    source = load_source(Rows({"img": PIXELS, "fine_label": LABELS}, {}))
    assert np.array_equal(source.train.images, PIXELS)


def test_splits_of_a_mapping_are_train_test_and_validation() -> None:
    parts = {
        "train": Items(FIRST),
        "validation": Items(FIRST[3:6], LABELS[3:6]),
        "test": Items(FIRST[:3], LABELS[:3]),
    }
    source = load_source(parts)
    assert len(source.require_test()) == 3
    assert np.array_equal(source.validation.images, PIXELS[3:6])
    held = load_source({"train": Items(FIRST)}, test_share=0.34)
    assert len(held.require_test()) == 3


def test_images_are_scaled_and_grey_ones_among_colours_are_coloured() -> None:
    images = [*[Image.fromarray(x).resize((7 + i, 9)) for i, x in enumerate(PIXELS[:8])]]
    images.append(Image.new("L", (4, 4)))
    assert load_source(Items(images), size=5).train.images.shape == (9, 5, 5, 3)


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[tuple[Any, int]]:
        yield FIRST[0], 0


class LongStream(Stream):
    def __len__(self) -> int:
        return 1


NORMAL = (FIRST.float() / 255 - 0.5) / 0.2
WRONG = {
    "stream": (Stream(), "map style"),
    "long stream": (LongStream(), "map style"),
    "generator": ((x for x in ()), "map style"),
    "normalised": (Items(NORMAL), "leave out what normalises"),
    "no number": (Items(NORMAL * torch.nan), "floats from nan"),
    "floats to 255": (Items(FIRST.float()), "pixels of 0 to 1 are expected; divide by 255"),
    "deep": (Items(FIRST.int() * 4), "0 to 255"),
    "truth": (Items(FIRST > 7), "bool"),
    "text": (Items(["a"] * 9), "str"),
    "four channels": (Items(torch.zeros(9, 4, 5, 6)), "1 or 3 channels"),
    "no image": (Items([]), "has no images"),
    "sizes": (Items([FIRST[0], FIRST[1, :, 1:]], [0, 1]), "resize all images"),
    "one item": (Items.__new__(type("Odd", (Items,), {"__getitem__": lambda s, i: 3})), "is a int"),
    "one-hot": (Items(FIRST, np.eye(9)), "whole number"),
    "soft": (Items(FIRST, [0.5] * 9), "whole number"),
    "negative": (Items(FIRST, LABELS - 1), "whole number from 0"),
    "huge": (Items(FIRST, [2**64] * 9), "whole number"),
    "gap": (Items(FIRST, LABELS + 70), "a class has none"),
    "missing class": (Items(FIRST, LABELS, ["a", "b", "c", "d"]), "'d' has no training image"),
    "too few names": (Items(FIRST, LABELS, ["a", "b"]), "outside 0..1"),
    "columns": (Rows({"a": PIXELS, "b": LABELS}, {}), "a row of a, b"),
    "no train": ({"test": Items(FIRST)}, "name one of them train"),
    "loader": (DataLoader(Items(FIRST)), "is it its `dataset` that you mean"),
    "set": ({1, 2}, "map style"),
    "parts of other classes": (
        ConcatDataset([Items(FIRST, LABELS, list("abc")), Items(FIRST, LABELS, list("acb"))]),
        "parts have different classes",
    ),
    "splits of other classes": (
        {"train": Items(FIRST, LABELS, list("abc")), "val": Items(FIRST, LABELS, list("ab"))},
        "the split val has not the classes of train",
    ),
}
WRONG["one item"][0].images = FIRST


@pytest.mark.parametrize(("data", "words"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_read_is_one_line(data: Any, words: str) -> None:
    with pytest.raises(SourceError, match=words) as error:
        load_source(data).train  # noqa: B018
    assert "\n" not in str(error.value)


class Broken(Items):
    """Raises at one item what any program may raise."""

    error: Exception = ValueError("bad\nbytes")

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index == 4:
            raise self.error
        return super().__getitem__(index)


@pytest.mark.parametrize(
    "error", [ValueError("bad\nbytes"), OSError(5, "no disk"), KeyError("a"), RuntimeError("x")]
)
def test_an_item_that_raises_is_named_and_its_error_kept(error: Exception) -> None:
    data = Broken(FIRST, classes=list("abc"))
    data.error = error
    with pytest.raises(SourceError, match=f"the Broken: item 4 .*{type(error).__name__}") as said:
        load_source(data).train  # noqa: B018
    assert said.value.__cause__ is error
    assert "\n" not in str(said.value)


def test_an_interrupt_while_items_are_read_is_one() -> None:
    data = Broken(FIRST, classes=list("abc"))
    data.error = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        load_source(data).train  # noqa: B018


def test_random_augmentation_is_noticed() -> None:
    draw = np.random.default_rng(0)

    class Noisy(Items):
        def __getitem__(self, index: int) -> tuple[Any, Any]:
            image, label = super().__getitem__(index)
            return (image.flip(2) if draw.random() < 0.5 else image), label

    with pytest.raises(SourceError, match="another each time it is read; leave out random"):
        load_source(Noisy(FIRST)).train  # noqa: B018


def test_many_images_go_to_a_file_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_disk, "HELD_BYTES", 100)
    source = load_source(Items(FIRST, classes=list("abc")))
    assert isinstance(source.train.images, on_disk.OnDisk)
    assert np.array_equal(source.train.images[:], PIXELS)


def test_the_digest_is_that_of_the_same_images_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, train_images=PIXELS, train_labels=LABELS, class_names=list("abc"))
    for images in (FIRST, FIRST.float() / 255, [Image.fromarray(x) for x in PIXELS]):
        ours = load_source(Items(images, classes=list("abc")))
        assert ours.digest() == load_source(path).digest()
    assert ours.digest() != load_source(Items(FIRST, LABELS[::-1], list("abc"))).digest()


def test_data_sets_within_each_other_in_a_circle_are_not_followed_for_ever() -> None:
    data = Items(FIRST)
    data.dataset = data  # type: ignore[attr-defined]
    assert load_source(data).classes == ("0", "1", "2")


def hugging_face(images: Any = PIXELS, names: Sequence[str] = ("x", "y", "z")) -> Any:
    datasets = pytest.importorskip("datasets")
    kinds = {"picture": datasets.Image(), "kind": datasets.ClassLabel(names=list(names))}
    columns = {"picture": [Image.fromarray(x) for x in images], "kind": LABELS[: len(images)]}
    return datasets.Dataset.from_dict(columns, datasets.Features(kinds))


def test_data_sets_of_hugging_face_are_read() -> None:
    datasets = pytest.importorskip("datasets")
    whole = hugging_face()
    for data in (
        whole,
        whole.with_format("torch"),
        whole.with_format("numpy"),
        Subset(whole, range(9)),
    ):
        source = load_source(data)
        assert np.array_equal(source.train.images, PIXELS)
        assert source.train.labels.tolist() == LABELS.tolist()
        assert source.classes == ("x", "y", "z")
    splits = datasets.DatasetDict({"train": whole, "validation": hugging_face(PIXELS[:4])})
    source = load_source(splits)
    assert len(source.require_test()) == 4
    assert source.tested_on == "the split validation"
    with pytest.raises(SourceError, match="map style"):
        load_source(whole.to_iterable_dataset())


def test_columns_that_a_transform_renames_are_found() -> None:
    data = hugging_face()

    def renamed(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return {"pixel_values": rows["picture"], "labels": rows["kind"]}

    data.set_transform(renamed)
    source = load_source(data)
    assert source.classes == ("x", "y", "z")
    assert np.array_equal(source.train.images, PIXELS)


def test_names_of_hugging_face_are_those_of_their_hub() -> None:
    data = hugging_face()
    assert load_source(data).name == "Dataset"
    data.info.dataset_name = "svhn"
    assert load_source(Subset(data, range(9))).name == "svhn"
    data.info.dataset_name = "../x"
    assert load_source(data).name == "Dataset"


@pytest.mark.parametrize(
    "source",
    [
        *(3, None, torch.zeros(3, 1, 8, 8), [PIXELS], PIXELS, {}),
        *({"train": PIXELS}, {"train": {"train": Items(FIRST)}}),
    ],
    ids=["number", "none", "tensor", "list", "array", "empty", "split of an array", "nested"],
)
def test_what_is_no_data_set_is_refused(source: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"or a mapping of such, got {type(source).__name__}") as e:
        encode(source, tmp_path / "a.ddset", ipc=1)
    assert "\n" not in str(e.value)


SETTINGS: dict[str, Any] = {"ipc": 1, "steps": 1, "profile": "quick", "device": "cpu"}


def test_a_data_set_is_encoded_and_tested_on(tmp_path: Path) -> None:
    data, out = Items(FIRST, classes=["a", "b", "c"]), tmp_path / "a.ddset"
    encode(data, out, **SETTINGS)
    ds = load(out)
    assert ds.classes == ("a", "b", "c")
    # Its classes in another order are the same ones.
    turned = Items(FIRST, [2 - label for label in LABELS], ["c", "b", "a"])
    found = [
        train_students(ds, test, nets=1, steps=2, device="cpu").per_net
        for test in (load_source(data).train, data, turned)
    ]
    assert found[0] == found[1] == found[2]
    with pytest.raises(UsageError, match="must be a Split or a data set"):
        train_students(ds, [data], nets=1, steps=2, device="cpu")


def test_what_a_program_held_is_asked_for_again(tmp_path: Path) -> None:
    encode(Items(FIRST, classes=list("abc")), tmp_path / "a.ddset", **SETTINGS)
    made = load(tmp_path / "a.ddset").manifest
    with pytest.raises(UsageError, match="made from 'Items', which is not known here; say what"):
        find_again(made.source, made.classes)
