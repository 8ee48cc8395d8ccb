"""``info``: what a file holds and what every part of it costs, without torch."""

from __future__ import annotations

import os
from typing import Any

from .format import read_manifest
from .format.manifest import Manifest
from .format.rules_lic import regions_of
from .format.stages import stage_count, stage_shares, tensor_names
from .format.strict_json import dumps


def info(path: str | os.PathLike[str], *, equivalents: bool = False) -> dict[str, Any]:
    """Return what ``ddcodec info --json`` prints for one file.

    Sizes are bytes in the file. ``bits_per_class`` counts everything: 8 x total / classes.
    ``pixels`` counts stored image pixels as the papers do, and ``ipc`` is pixels / (classes x
    height x width). Digests are not checked; that is ``verify``.

    With ``equivalents`` the file is decoded too, and ``equivalents`` in the result says what the
    same data set takes as fp32 images, PNG and npz (see ``ddcodec.equivalents``).
    """
    manifest, sizes = read_manifest(path)
    image, classes = manifest.image, len(manifest.classes)
    pixels = stored_pixels(manifest)
    out: dict[str, Any] = {
        "file": os.fspath(path),
        "codec": manifest.codec["name"],
        "classes": classes,
        "class_names": list(manifest.classes),
        "image": image,
        "pixels": pixels,
        "ipc": pixels / (classes * image["height"] * image["width"]),
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
        "source": manifest.source,
        "recipe": manifest.recipe,
        "provenance": manifest.provenance,
        "license": manifest.license,
        "content_digest": manifest.content_digest,
    }
    if manifest.codec["name"] == "lic":
        count, cells = manifest.tensors["images"].shape[0], manifest.codec["params"]["cells"]
        out["mosaics"] = {"count": count, "cells": cells, "regions": regions_of(manifest)}
    if manifest.codec["name"] == "d3m":
        params, seeds = manifest.codec["params"], manifest.tensors["seeds"]
        out["generated"] = {
            "images": classes * params["images"],
            "patches": params["take"] ** 2,
            "variations": seeds.shape[0],
            "collages": classes * seeds.shape[2],
            "tokens": manifest.tensors["tokens"].shape[1] if "tokens" in manifest.tensors else 0,
        }
    if manifest.patches is not None:
        across, down = manifest.patches["grid"]
        size = manifest.patches["size"]
        out["patches"] = {"count": across * down, "grid": [across, down], "size": size}
    if posters := poster_names(manifest):
        out["poster"] = {"height": manifest.tensors[posters[0]].shape[1],
                         "width": manifest.tensors[posters[0]].shape[2],
                         "bits": _bits(manifest, posters[0])}  # fmt: skip
    if manifest.codec["name"] == "ppodd":
        out["patches"]["count"] *= len(posters)
        out["stages"] = [
            {
                "share": share,
                "poster": sizes.tensors[f"poster_{stage}"],
                "labels": sizes.tensors.get(f"labels_{stage}", 0),
                "differences": [
                    name
                    for name in manifest.codec["params"].get("differences", [])
                    if name.endswith(f"_{stage}")
                ],
            }
            for stage, share in enumerate(stage_shares(manifest), 1)
        ]
    if equivalents:
        from .equivalents import equivalents as decoded_sizes

        out["equivalents"] = decoded_sizes(path)
    return out


def stored_pixels(manifest: Manifest) -> int:
    """Return the pixels of all posters, or of all stored images; channels are not counted.

    Of a file of generated images those that an epoch shows are counted, as the paper does.
    """
    if manifest.codec["name"] == "d3m":
        size = manifest.image["height"] * manifest.image["width"]
        return int(len(manifest.classes) * manifest.codec["params"]["images"] * size)
    if posters := poster_names(manifest):
        _, height, width = manifest.tensors[posters[0]].shape
        return len(posters) * height * width
    if "images" in manifest.tensors:
        count, *_, height, width = manifest.tensors["images"].shape
        return count * height * width
    return 0


def poster_names(manifest: Manifest) -> list[str]:
    """Return the tensors that are posters, the oldest stage first."""
    if manifest.codec["name"] == "ppodd":
        return tensor_names(stage_count(manifest), learned=False)
    return ["poster"] if "poster" in manifest.tensors else []


def _bits(manifest: Manifest, name: str) -> int:
    quantiser = manifest.tensors[name].quantiser
    return int(quantiser["bits"]) if quantiser else 32
