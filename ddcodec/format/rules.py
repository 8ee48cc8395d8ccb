"""What must hold between the fields of a manifest, and between it and its tensors."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from ..limits import Limits
from ..methods import known
from .fields import check_fields, is_text
from .manifest import Manifest
from .needs import is_count, need
from .preprocessing import check_preprocessing
from .strict_json import shown


def check_manifest(manifest: Manifest, limits: Limits) -> None:
    """Check everything that needs no tensor data; raises InvalidFile or LimitExceeded."""
    check_fields(manifest)
    for name in manifest.classes:
        need(is_text(name), f"classes: the name {shown(name)} is not allowed", "DDS-E011")
    _check_image(manifest)
    check_preprocessing(manifest.image)
    need(set(manifest.codec) == {"name", "version", "params"}, "codec: unknown field")
    known()[manifest.codec["name"]].check(manifest, limits)


def check_values(manifest: Manifest, arrays: dict[str, NDArray[Any]]) -> None:
    """Check what depends on the values of decoded tensors or chunks; raises InvalidFile."""
    known()[manifest.codec["name"]].check_values(manifest, arrays)


def _check_image(manifest: Manifest) -> None:
    image = manifest.image
    need(set(image) == {"channels", "height", "width", "colour", "preprocessing"}, "image: fields")
    for name in ("channels", "height", "width"):
        need(is_count(image[name]), f"image: {name} must be a positive integer")
    need((image["channels"], image["colour"]) in ((1, "grey"), (3, "rgb")), "image: colour")
