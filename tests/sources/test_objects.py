"""Data sets of torch and of Hugging Face ``datasets`` as sources, whatever their items are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset

from ddcodec import SourceError, UsageError, encode, load
from ddcodec.evaluate import train_students
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
    assert read == list(range(9))


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
    "floats to 255": (Items(FIRST.float()), "pixels of 0 to 1"),
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
}
WRONG["one item"][0].images = FIRST


@pytest.mark.parametrize(("data", "words"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_read_is_one_line(data: Any, words: str) -> None:
    with pytest.raises(SourceError, match=words) as error:
        load_source(data).train  # noqa: B018
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("source", [3, None, torch.zeros(3, 1, 8, 8), [PIXELS], PIXELS, {}])
def test_what_is_no_data_set_is_refused(source: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a data set"):
        encode(source, tmp_path / "a.ddset", ipc=1)


def test_a_data_set_is_encoded_and_tested_on(tmp_path: Path) -> None:
    data, out = Items(FIRST, classes=["a", "b", "c"]), tmp_path / "a.ddset"
    settings = {"ipc": 1, "steps": 1, "profile": "quick", "device": "cpu"}
    encode(data, out, **settings)
    ds = load(out)
    assert ds.classes == ("a", "b", "c")
    ours = train_students(ds, data, nets=1, steps=2, device="cpu")
    again = train_students(ds, load_source(data).train, nets=1, steps=2, device="cpu")
    assert ours.per_net == again.per_net
    with pytest.raises(UsageError, match="must be a Split or a data set"):
        train_students(ds, [data], nets=1, steps=2, device="cpu")
