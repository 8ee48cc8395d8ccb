"""``info``: what a file holds and what every part of it costs, without torch."""

from __future__ import annotations

import os
from typing import Any

from ..codecs.registry import CODECS
from ..format import read_manifest
from ..format.measured import transfer
from ..format.strict_json import dumps
from ..hub import local
from .published import published

Rows = list[tuple[str, str]]


def info(path: str | os.PathLike[str], *, equivalents: bool = False) -> dict[str, Any]:
    """Return what ``ddcodec info --json`` prints for one file, or one address on the hub.

    Sizes are bytes in the file. ``bits_per_class`` counts everything: 8 x total / classes.
    ``pixels`` counts stored image pixels as the papers do, and ``ipc`` is pixels / (classes x
    height x width). Digests are not checked; that is ``verify``.

    With ``equivalents`` the file is decoded too, and ``equivalents`` in the result says what the
    same data set takes as fp32 images, PNG and npz (see ``inspection.equivalents``).
    """
    return examined(path, equivalents=equivalents)[0]


def examined(
    path: str | os.PathLike[str], *, equivalents: bool = False
) -> tuple[dict[str, Any], Rows]:
    """Return what ``info`` returns, and (name, text) of what only the file's method knows."""
    place = local(path)
    manifest, sizes = read_manifest(place)
    image, classes = manifest.image, len(manifest.classes)
    described = CODECS[manifest.codec["name"]].describe(manifest, sizes)
    out: dict[str, Any] = {
        "file": os.fspath(path),
        "codec": manifest.codec["name"],
        "classes": classes,
        "class_names": list(manifest.classes),
        "image": image,
        "pixels": described.pixels,
        "ipc": described.pixels / (classes * image["height"] * image["width"]),
        "patches": None,
        "labels": manifest.labels,
        "order": manifest.order,
        "bytes": {
            "total": sizes.total,
            "header": sizes.header,
            "tensors": sizes.tensors,
            "labels": sum(n for name, n in sizes.tensors.items() if name.startswith("label")),
            "preprocessing": len(dumps(image["preprocessing"])),
        },
        "bits_per_class": 8 * sizes.total / classes,
        "external": list(manifest.external),
        "measured": manifest.measured,
        "measured_networks": list(manifest.measured_networks),
        "transfer": transfer(manifest.measured_networks),
        "source": manifest.source,
        "recipe": manifest.recipe,
        "provenance": manifest.provenance,
        "license": manifest.license,
        "published": published(manifest),
        "content_digest": manifest.content_digest,
        **described.facts,
    }
    if equivalents:
        from .equivalents import equivalents as decoded_sizes

        out["equivalents"] = decoded_sizes(place)
    return out, list(described.rows)
