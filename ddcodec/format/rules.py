"""What must hold for the fields of a manifest, whatever its method, and where methods are asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from numpy.typing import NDArray

from ..limits import SOURCE_SIDE, TEST_SHARES, Limits
from ..methods import known
from .manifest import Manifest
from .values import LARGEST, is_count, is_hex, is_number, is_text, is_weights, need, shown

COMMAND = 2000  # characters of a command line
FILES = 64  # of a model
MOST_SIDE = 512  # pixels of an image that is whitened: up to here all sums are exact
MOST = 2047  # of a coefficient of a kernel
MOST_KERNEL = 31  # pixels a side
_DIGEST = partial(is_hex, length=32)
_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}")

Check = Callable[[Any], bool]


def _count(high: int = LARGEST, low: int = 1) -> Check:
    return lambda value: type(value) is int and low <= value <= high


def _between(low: float, high: float) -> Check:
    return lambda value: is_number(value, low, high)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _word(value: Any) -> bool:
    return isinstance(value, str) and bool(_WORD.fullmatch(value))


def _files(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and 1 <= len(value) <= FILES
        and all(is_weights(path) and is_hex(digest, 64) for path, digest in value.items())
    )


# Place -> field -> what it must be. All are required; beside them only those of OPTIONAL may stand.
FIELDS: dict[str, dict[str, Check]] = {
    "recipe": {
        "network": _object,
        "optimizer": _object,
        "steps": _count(10**9),
        "batch_size": _count(10**9),
        "augment": _word,
        "loss": _word,
    },
    "recipe.network": {
        "name": _word,
        "norm": _word,
        "depth": _count(64),
        "width": _count(1 << 16),
    },
    "recipe.optimizer": {"name": _word, "lr": _between(1e-12, 1e3)},
    "source": {"name": is_text, "split": _word, "count": _count(), "digest": _DIGEST},
    "provenance": {
        "tool": is_text,
        "command": lambda value: is_text(value, COMMAND),
        "seed": _count(low=0),
    },
    "provenance.observer": {"architecture": is_text, "digest": _DIGEST},
    "measured": {
        "accuracy_mean": _between(0, 1),
        "accuracy_std": _between(0, 1),
        "nets": _count(10**6),
        "steps": _count(10**9),
        "test": is_text,
        "test_count": _count(),
    },
    "measured.networks": {
        "network": is_text,
        "norm": _word,
        "accuracy_mean": _between(0, 1),
        "accuracy_std": _between(0, 1),
        "nets": _count(10**6),
        "steps": _count(10**9),
        "optimizer": _word,
        "lr": _between(1e-12, 1e3),
    },
    "external": {"name": is_text, "revision": is_text, "bytes": _count(low=0)},
}
OPTIONAL: dict[str, dict[str, Check]] = {
    "source": {"size": _count(SOURCE_SIDE), "test_share": _between(*TEST_SHARES)},
    "recipe": {"schedule": _word},
    "recipe.optimizer": {"weight_decay": _between(0, 1)},
    "provenance": {"observer": _object},
    "measured": {"tool": is_text},
    "measured.networks": {"own": lambda value: value is True, "tool": is_text},
    "external": {"files": _files},
}
PREPROCESSING = {
    "none": {"kind"},
    "standardise": {"kind", "mean", "std"},
    "conv_whiten": {"kind", "gain", "size", "kernel"},
}


def check_manifest(manifest: Manifest, limits: Limits) -> None:
    """Check everything that needs no tensor data; raises InvalidFile or LimitExceeded."""
    _check_descriptions(manifest)
    for name in manifest.classes:
        need(is_text(name), f"classes: the name {shown(name)} is not allowed", "DDS-E011")
    _check_image(manifest.image)
    check_preprocessing(manifest.image)
    need(set(manifest.codec) == {"name", "version", "params"}, "codec: unknown field")
    known()[manifest.codec["name"]].check(manifest, limits)


def check_values(manifest: Manifest, arrays: dict[str, NDArray[Any]]) -> None:
    """Check what depends on the values of decoded tensors or chunks; raises InvalidFile."""
    known()[manifest.codec["name"]].check_values(manifest, arrays)


def _check_descriptions(manifest: Manifest) -> None:
    """Check the fields that describe but do not decode."""
    _check("recipe", manifest.recipe)
    _check("recipe.network", manifest.recipe["network"])
    optimizer = manifest.recipe["optimizer"]
    _check("recipe.optimizer", optimizer)
    plain = optimizer["name"] != "adam" or "weight_decay" not in optimizer
    need(plain, "manifest: recipe.optimizer: adam has no weight_decay")
    _check("source", manifest.source)
    _check("provenance", manifest.provenance)
    if "observer" in manifest.provenance:
        _check("provenance.observer", manifest.provenance["observer"])
    if manifest.measured is not None:
        _check("measured", manifest.measured)
    for entry in manifest.measured_networks:
        _check("measured.networks", entry)
    for item in manifest.external:
        _check("external", item)
    if manifest.license is not None:
        need(is_text(manifest.license), "manifest: license must be a short text")


def _check(where: str, value: Mapping[str, Any]) -> None:
    required, optional = FIELDS[where], OPTIONAL.get(where, {})
    for name in value:
        good = name in required or name in optional
        need(good, f"manifest: {where}: unknown field {shown(name)}")
    for name, good_value in (required | optional).items():
        if name in value:
            fits = good_value(value[name])
            need(fits, f"manifest: {where}: field '{name}' has a value that is not allowed")
        else:
            need(name in optional, f"manifest: {where}: field '{name}' is missing")


def _check_image(image: Mapping[str, Any]) -> None:
    need(set(image) == {"channels", "height", "width", "colour", "preprocessing"}, "image: fields")
    for name in ("channels", "height", "width"):
        need(is_count(image[name]), f"image: {name} must be a positive integer")
    need((image["channels"], image["colour"]) in ((1, "grey"), (3, "rgb")), "image: colour")


def check_preprocessing(image: Mapping[str, Any]) -> None:
    """Check ``image.preprocessing`` beside the image's channels and size; raises InvalidFile."""

    def must(condition: bool, message: str) -> None:
        need(condition, f"preprocessing: {message}", "DDS-E014")

    def are(value: Any, count: int, check: Check) -> bool:
        return isinstance(value, list) and len(value) == count and all(check(v) for v in value)

    value, channels = image["preprocessing"], image["channels"]
    must(isinstance(value, dict), "not an object")
    kind = value.get("kind")
    must(isinstance(kind, str) and kind in PREPROCESSING, "unknown kind")
    must(set(value) == PREPROCESSING[kind], "unknown or missing field")
    if kind == "standardise":
        for name in ("mean", "std"):
            must(are(value[name], channels, _between(-1e6, 1e6)), name)
        must(all(v > 1e-6 for v in value["std"]), "std must be positive")
    if kind == "conv_whiten":
        sides = (image["height"], image["width"])
        must(all(2 <= side <= MOST_SIDE for side in sides), f"2 to {MOST_SIDE} pixels are whitened")
        must(is_number(value["gain"], 1e-30, 1e30), "gain must be a positive number")
        size = value["size"]
        must(type(size) is int and 1 <= size <= MOST_KERNEL and size % 2 == 1, "size")
        must(are(value["kernel"], (size * channels) ** 2, _count(MOST, -MOST)), "kernel")
