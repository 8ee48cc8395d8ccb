"""Values that a manifest does not spell out: filled in when read, left out when written.

A field that equals its default must be absent, so there is one spelling of every manifest.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

from .measured import INHERITED, MOST

JSON = dict[str, Any]
Path = tuple[str | int, ...]

# Path in the manifest ("*" stands for every name) -> fields with a fixed default.
FIXED: dict[Path, JSON] = {
    ("codec",): {"version": 1, "params": {}},
    ("image", "preprocessing"): {"kind": "standardise"},
    ("labels",): {"kind": "learned"},
    ("source",): {"split": "train"},
    ("provenance",): {"seed": 0},
    ("patches",): {"origins": "linspace-half-even"},
    ("tensors", "*"): {"dtype": "float32"},
    ("tensors", "*", "quantiser"): {"bits": 8},
    ("recipe",): {"augment": "none", "loss": "soft_cross_entropy"},
    ("recipe", "network"): {"name": "convnet", "norm": "instance"},
    ("recipe", "optimizer"): {"name": "adam"},
}
DEPTH = max(len(path) for path in FIXED)
POOLING = {"learned": "cell", "fixed": "majority"}


def fill(manifest: JSON) -> JSON:
    """Return a copy of a parsed manifest with every default spelled out."""
    full = _spine(manifest)
    for path, fields in _rules(full):
        for place in _at(full, path):
            for name, value in fields.items():
                if name not in place:
                    place[name] = copy.deepcopy(value)
    return full


def strip(manifest: JSON) -> JSON:
    """Return a copy of a full manifest without the fields that equal their defaults."""
    short = _spine(manifest)
    # Every rule looks at the full manifest: what it derives from may itself be left out.
    for path, fields in _rules(manifest):
        for place in _at(short, path):
            for name, value in fields.items():
                # 1 == True and 1 == 1.0 in Python, but not in a file.
                if name in place and type(place[name]) is type(value) and place[name] == value:
                    del place[name]
    return short


def _spine(manifest: JSON, depth: int = DEPTH) -> JSON:
    # A copy of the objects that rules may change; other lists and what lies deeper is shared.
    spine = {
        name: _spine(value, depth - 1) if depth and isinstance(value, dict) else value
        for name, value in manifest.items()
    }
    if depth == DEPTH and (entries := _entries(manifest)):
        spine["measured"] = [dict(e) if isinstance(e, dict) else e for e in entries]
    return spine


def _rules(manifest: JSON) -> Iterator[tuple[Path, JSON]]:
    """Give (path, defaults there), the derived ones after those that they are derived from."""
    yield from FIXED.items()
    for image in _at(manifest, ("image",)):
        yield ("image",), {"colour": {1: "grey", 3: "rgb"}.get(_count(image, "channels"), "")}
        yield ("image",), {"width": _count(image, "height")}
        size = [_count(image, "height"), _count(image, "width")]
        yield ("patches",), {"size": size}
    for labels in _at(manifest, ("labels",)):
        kind = labels.get("kind")
        if kind in ("learned", "fixed"):
            yield ("labels",), {"pooling": POOLING[kind]}
    tensors = [pair for place in _at(manifest, ("tensors",)) for pair in place.items()]
    for name, tensor in tensors:
        if not isinstance(tensor, dict):
            continue
        yield ("tensors", name), {"coder": "context" if "quantiser" in tensor else "zstd"}
        kind = "square" if name == "labels" else "uniform"
        yield ("tensors", name, "quantiser"), {"kind": kind}
    for patches in _at(manifest, ("patches",)):
        grid = patches.get("grid")
        if not (isinstance(grid, list) and len(grid) == 2 and all(type(n) is int for n in grid)):
            continue
        yield ("recipe",), {"batch_size": math.prod(grid)}
        for labels in _at(manifest, ("labels",)):
            if labels.get("kind") == "learned":
                yield ("labels",), {"grid": grid}
    # Asked for one after the other: an entry is filled in before the next one looks at it.
    for index in range(1, len(_entries(manifest))):
        for before in _at(manifest, ("measured", index - 1)):
            same = {name: before[name] for name in INHERITED if name in before}
            yield (
                ("measured", index),
                {name: value for name, value in same.items() if type(value) in (str, int, float)},
            )


def _entries(manifest: JSON) -> list[Any]:
    """Return the list in ``measured``; a longer one than allowed costs no memory here."""
    value = manifest.get("measured")
    return value if isinstance(value, list) and len(value) <= MOST else []


def _at(value: Any, path: Path) -> list[JSON]:
    """Return the objects at ``path``; whatever is missing or no object is passed over."""
    if path and isinstance(value, list) and isinstance(path[0], int):
        return _at(value[path[0]], path[1:])
    if not isinstance(value, dict):
        return []
    if not path:
        return [value]
    if path[0] == "*":
        return [place for child in value.values() for place in _at(child, path[1:])]
    return _at(value.get(path[0]), path[1:])


def _count(place: JSON, name: str) -> int:
    value = place.get(name)
    return value if type(value) is int else 0
