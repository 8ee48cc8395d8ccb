"""The descriptive fields of a manifest: recipe, source, provenance, measured, external, licence."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import InvalidFile
from .manifest import Manifest
from .strict_json import is_hex, shown

TEXT = 200  # characters of a name
COMMAND = 2000  # characters of a command line
LARGEST = 2**53
FILES = 64  # of a model
_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}")
_WEIGHTS = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9_.-]*/){0,3}[A-Za-z0-9_-][A-Za-z0-9_.-]*")
# Controls and the marks that turn writing around could make a terminal show what is not there.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

Check = Callable[[Any], bool]


def is_text(value: Any, longest: int = TEXT) -> bool:
    """Say whether a value is a string of 1 to ``longest`` characters that may be shown as it is."""
    return isinstance(value, str) and 0 < len(value) <= longest and not _HIDDEN.search(value)


def is_number(value: Any, low: float, high: float) -> bool:
    """Say whether a value is a number (no bool) in ``low``..``high``."""
    return type(value) in (int, float) and low <= value <= high


def _count(high: int = LARGEST, low: int = 1) -> Check:
    return lambda value: type(value) is int and low <= value <= high


def is_weights(value: Any) -> bool:
    """Say whether a value may be the path of a weights file within a model's folder."""
    return (
        is_text(value)
        and value.endswith(".safetensors")
        and ".." not in value
        and bool(_WEIGHTS.fullmatch(value))
    )


def _files(value: Any) -> bool:
    """Say whether a value maps 1 to 64 paths of weights to their SHA-256."""
    return (
        isinstance(value, dict)
        and 1 <= len(value) <= FILES
        and all(is_weights(path) and is_hex(digest, 64) for path, digest in value.items())
    )


def _word(value: Any) -> bool:
    return isinstance(value, str) and bool(_WORD.fullmatch(value))


# field -> what it must be. Every one is required, and no other is allowed but those of OPTIONAL.
NETWORK: dict[str, Check] = {
    "name": _word,
    "norm": _word,
    "depth": _count(64),
    "width": _count(1 << 16),
}
OPTIMIZER: dict[str, Check] = {"name": _word, "lr": lambda v: is_number(v, 1e-12, 1e3)}
# What an entry may have beside the fields that it must have.
OPTIONAL: dict[str, dict[str, Check]] = {
    "recipe": {"schedule": _word},
    "recipe.optimizer": {"weight_decay": lambda v: is_number(v, 0, 1)},
    "provenance": {"observer": lambda v: isinstance(v, dict)},
    "external": {"files": _files},
}
OBSERVER: dict[str, Check] = {"architecture": is_text, "digest": lambda v: is_hex(v, 32)}
RECIPE: dict[str, Check] = {
    "network": lambda v: isinstance(v, dict),
    "optimizer": lambda v: isinstance(v, dict),
    "steps": _count(10**9),
    "batch_size": _count(10**9),
    "augment": _word,
    "loss": _word,
}
SOURCE: dict[str, Check] = {
    "name": is_text,
    "split": _word,
    "count": _count(),
    "digest": lambda v: is_hex(v, 32),
}
PROVENANCE: dict[str, Check] = {
    "tool": is_text,
    "command": lambda v: is_text(v, COMMAND),
    "seed": _count(low=0),
}
MEASURED: dict[str, Check] = {
    "accuracy_mean": lambda v: is_number(v, 0, 1),
    "accuracy_std": lambda v: is_number(v, 0, 1),
    "nets": _count(10**6),
    "steps": _count(10**9),
    "test": is_text,
    "test_count": _count(),
}
EXTERNAL: dict[str, Check] = {"name": is_text, "revision": is_text, "bytes": _count(low=0)}


def check_fields(manifest: Manifest) -> None:
    """Check the fields that describe but do not decode; raises InvalidFile (DDS-E010)."""
    _check("recipe", manifest.recipe, RECIPE)
    _check("recipe.network", manifest.recipe["network"], NETWORK)
    optimizer = manifest.recipe["optimizer"]
    _check("recipe.optimizer", optimizer, OPTIMIZER)
    if optimizer["name"] == "adam" and "weight_decay" in optimizer:
        raise InvalidFile("manifest: recipe.optimizer: adam has no weight_decay", "DDS-E010")
    _check("source", manifest.source, SOURCE)
    _check("provenance", manifest.provenance, PROVENANCE)
    if "observer" in manifest.provenance:
        _check("provenance.observer", manifest.provenance["observer"], OBSERVER)
    if manifest.measured is not None:
        _check("measured", manifest.measured, MEASURED)
    for item in manifest.external:
        _check("external", item, EXTERNAL)
    if manifest.license is not None and not is_text(manifest.license):
        raise InvalidFile("manifest: license must be a short text", "DDS-E010")


def _check(where: str, value: Mapping[str, Any], fields: Mapping[str, Check]) -> None:
    optional = OPTIONAL.get(where, {})
    for name in value:
        if name not in fields and name not in optional:
            raise InvalidFile(f"manifest: {where}: unknown field {shown(name)}", "DDS-E010")
    for name, good in {**fields, **optional}.items():
        if name not in value:
            if name in optional:
                continue
            raise InvalidFile(f"manifest: {where}: field '{name}' is missing", "DDS-E010")
        if not good(value[name]):
            raise InvalidFile(
                f"manifest: {where}: field '{name}' has a value that is not allowed", "DDS-E010"
            )
