"""An observer in a file: what is written is read, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddcodec.errors import DDSetError, InvalidFile, SourceError, UsageError
from ddcodec.observers.file import load, save
from ddcodec.sources import Source

Change = Callable[[dict[str, Any], dict[str, Any]], None]


def test_what_is_saved_is_loaded_bit_for_bit(observer_file: Path, digits: Source) -> None:
    found = load(observer_file)
    again = observer_file.with_name("again.safetensors")
    assert save(again, found.network, found.description) == found.digest
    assert again.read_bytes() == observer_file.read_bytes()
    assert found.description.classes == digits.classes
    assert not found.network.training
    assert not any(weight.requires_grad for weight in found.network.parameters())
    x = found.preprocess(digits.test.images[:64])  # type: ignore[union-attr]
    assert torch.equal(found.network(x), load(again).network(x))


def test_the_official_library_opens_it(observer_file: Path) -> None:
    weights = safetensors.torch.load_file(observer_file)
    assert all(weight.dtype == torch.float32 for weight in weights.values())
    assert not any(name.endswith("num_batches_tracked") for name in weights)


def rebuilt(path: Path, change: Change) -> bytes:
    """Return the file with its header and its description changed."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    body = json.loads(header["__metadata__"]["observer"])
    change(header, body)
    if "observer" in header.get("__metadata__", {}):
        header["__metadata__"]["observer"] = json.dumps(body)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def huge(header: dict[str, Any], body: dict[str, Any]) -> None:
    body["image"].update(height=4096, width=4096)
    body["classes"] = [str(i) for i in range(50_000)]


def overlapping(header: dict[str, Any], body: dict[str, Any]) -> None:
    names = [name for name in header if name != "__metadata__"]
    alike = [n for n in names if header[n]["shape"] == [128]]
    header[alike[0]]["data_offsets"] = header[alike[1]]["data_offsets"]


CHANGES: dict[str, Change] = {
    "architecture": lambda h, b: b.update(architecture="resnet18"),
    "unknown architecture": lambda h, b: b.update(architecture="os.system"),
    "later format": lambda h, b: b.update(format=2),
    "another field": lambda h, b: b.update(code="import os"),
    "missing field": lambda h, b: b.pop("source"),
    "classes that are no text": lambda h, b: b.update(classes=[1, 2]),
    "a class twice": lambda h, b: b.update(classes=["a", "a"]),
    "huge": huge,
    "negative side": lambda h, b: b["image"].update(height=-8),
    "a side that is a float": lambda h, b: b["image"].update(height=8.0),
    "std of zero": lambda h, b: b["image"]["preprocessing"].update(std=[0]),
    "std that is a text": lambda h, b: b["image"]["preprocessing"].update(std="x"),
    "unknown preprocessing": lambda h, b: b["image"].update(preprocessing={"kind": "zca"}),
    "preprocessing of nothing": lambda h, b: b["image"].update(preprocessing=None),
    "accuracy over one": lambda h, b: b.update(accuracy=2),
    "another accuracy": lambda h, b: b.update(accuracy=0.5),
    "another digest": lambda h, b: b.update(digest="0" * 64),
    "a digest that is none": lambda h, b: b.update(digest="x"),
    "no metadata": lambda h, b: h.pop("__metadata__"),
    "another key": lambda h, b: h.update(__metadata__={"other": "{}"}),
    "a weight less": lambda h, b: h.pop("head.1.bias"),
    "another type": lambda h, b: h["head.1.bias"].update(dtype="F16"),
    "another shape": lambda h, b: h["head.1.bias"].update(shape=[2, 5]),
    "offsets of text": lambda h, b: h["head.1.bias"].update(data_offsets=["0", "40"]),
    "overlap": overlapping,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_header_is_refused_in_one_line(
    name: str, observer_file: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(rebuilt(observer_file, CHANGES[name]))
    with pytest.raises(InvalidFile) as caught:
        load(bad)
    assert str(bad) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{}", b"\x80\x04K\x01.", b"\xff" * 64, b"\2" + bytes(40)])
def test_other_files_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(InvalidFile):
        load(tmp_path / "x")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        load(tmp_path / "none.safetensors")


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_refused(observer_file: Path, place: float, bit: int) -> None:
    data = bytearray(observer_file.read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    bad = observer_file.with_name("flipped.safetensors")
    bad.write_bytes(data)
    with pytest.raises(DDSetError):
        load(bad)


def test_a_weight_that_is_not_finite_is_refused(observer_file: Path, tmp_path: Path) -> None:
    data = bytearray(observer_file.read_bytes())
    data[-4:] = b"\0\0\xc0\x7f"
    (tmp_path / "nan").write_bytes(data)
    with pytest.raises(InvalidFile, match="not finite"):
        load(tmp_path / "nan")


def test_an_observer_of_other_images_or_classes_is_a_usage_error(
    observer_file: Path, digits: Source
) -> None:
    found = load(observer_file)
    found.require_fit(digits.classes, (1, 8, 8))
    with pytest.raises(UsageError, match="sees images of 1x8x8"):
        found.require_fit(digits.classes, (3, 8, 8))
    with pytest.raises(UsageError, match="classes"):
        found.require_fit(digits.classes[::-1], (1, 8, 8))
