"""Write the test vectors of the specification: ``python -m tests.helpers.vectors``.

``spec/vectors/valid`` and ``invalid`` hold the files, ``valid.json`` and ``invalid.json`` what a
reader must find in them. Committed vectors are never changed; a later version adds to them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ddcodec.codecs.d3m.decode import patch_labels
from ddcodec.errors import InvalidFile, Unsupported
from ddcodec.format import DDSetFile, Manifest, Storage, read, to_bytes
from tests.helpers.codec_cases import CODEC_CASES
from tests.helpers.d3m_files import d3m_valid
from tests.helpers.expanded_files import expanded_valid
from tests.helpers.hostile import CASES, Forgery
from tests.helpers.lic_files import lic_valid
from tests.helpers.ppodd_files import ppodd_valid
from tests.helpers.second_reader import decoded
from tests.helpers.small_files import STORAGE, arrays, images_arrays, images_manifest, manifest
from tests.helpers.transformed_files import transformed_valid

FOLDER = Path(__file__).parents[2] / "spec" / "vectors"
LARGEST = 8192  # bytes of an invalid vector; larger cases are made in the tests alone
FIRST = 4  # patches and labels that are digested


def valid() -> dict[str, bytes]:
    """Return every valid file by name."""
    files: dict[str, bytes] = {}

    def add(
        name: str,
        changes: dict[str, Any],
        tensors: dict[str, np.ndarray],
        storage: dict[str, Storage],
    ) -> None:
        files[name] = to_bytes(manifest(**changes), tensors, storage)[0]

    area = {"kind": "learned", "pooling": "area", "grid": [3, 1]}
    area_arrays = arrays() | {"labels": labels(1, 3, 3, seed=2)}
    fixed = {"labels": {"kind": "fixed", "pooling": "majority"}}
    poster = {"poster": arrays()["poster"]}
    raw = {name: Storage(coder="raw") for name in arrays()}

    zstd = {name: replace(how, coder="zstd") for name, how in STORAGE.items()}
    add("podd-zstd-8-bits", {}, arrays(), zstd)
    add("podd-raw-float32", {}, arrays(), raw)
    add("podd-zstd-float32", {}, arrays(), {})
    add("podd-fixed-labels", fixed, poster, STORAGE)
    add("podd-area-pooling", {"labels": area}, area_arrays, STORAGE)
    for bits in range(2, 8):
        storage = {"poster": Storage(bits=bits), "labels": Storage(bits=bits, coder="raw")}
        add(f"podd-{bits}-bits", {}, arrays(), storage)
    add("podd-chunks", {}, arrays(), {"poster": Storage(bits=8), "labels": Storage(chunk=1)})
    add("podd-colour", *colour(), {"poster": Storage(bits=8, per_channel=True)})
    add("podd-one-class", *one_class(), STORAGE)
    add("podd-many-classes", *many_classes(), STORAGE)
    add("podd-unicode", {"classes": ("Ærø", "日本語", "🐝 \"\\ 'x")}, arrays(), STORAGE)
    none = {"image": manifest().image | {"preprocessing": {"kind": "none"}}}
    add("podd-no-preprocessing", none, arrays(), STORAGE)
    add("podd-everything-stated", everything(), arrays(), STORAGE)
    add("podd-several-networks", several_networks(), arrays(), STORAGE)
    add("podd-one-patch", *one_patch(), STORAGE)
    add("podd-per-class-origins", *per_class(), STORAGE)

    # Where the coder is not named the writer takes ``context`` for whatever is quantised.
    add("podd-context-8-bits", {}, arrays(), STORAGE)
    add("podd-context-smooth", *smooth(), {"poster": Storage(bits=5, per_channel=True)})

    index = images_manifest()
    index.labels["kind"] = "index"
    classes = {"labels": np.array([0, 2, 1, 2, 0], dtype=np.int32)}
    add_images = {
        "images-soft-labels": (images_manifest(), images_arrays(), {}),
        "images-class-indices": (index, images_arrays() | classes, raw),
        "images-chunks": (images_manifest(), images_arrays(), chunks(2)),
        "images-float32": (images_manifest(), float_images(), {}),
        "images-quantised-chunks": (images_manifest(), float_images(), chunks(3, bits=6)),
        "images-conv-whiten": (
            whitened(),
            {"images": RGB, "labels": labels(2, 3, seed=10)},
            {},
        ),
        "images-context": (
            images_manifest(),
            images_arrays(),
            {"images": Storage(coder="context")},
        ),
        "images-colour": (colour_images(), {"images": RGB, "labels": labels(2, 3, seed=10)}, {}),
    }
    files |= {name: to_bytes(*parts)[0] for name, parts in add_images.items()}

    files |= lic_valid() | ppodd_valid() | d3m_valid()

    files |= {name: to_bytes(*parts)[0] for name, parts in expanded_valid(*colour()).items()}
    files |= {name: to_bytes(*parts)[0] for name, parts in transformed_valid(colour()[0]).items()}

    later = Forgery.of(files["podd-raw-float32"])
    later.manifest["format"]["minor"] = 9
    later.manifest["ignorable"] = {"since": "1.9", "list": [1, 2.5, None]}
    files["later-minor-version"] = resealed(later)
    return files


RGB = np.random.default_rng(9).integers(0, 256, (2, 3, 4, 6), np.uint8)


def chunks(rows: int, bits: int | None = None) -> dict[str, Storage]:
    images = Storage(bits=bits, per_channel=bits is not None, chunk=rows)
    return {"images": images, "labels": Storage(chunk=rows)}


def float_images() -> dict[str, np.ndarray]:
    arrays = images_arrays()
    return arrays | {"images": (arrays["images"] / 255).astype(np.float32)}


def colour_images() -> Manifest:
    return images_manifest(image=colour()[0]["image"])


def whitened() -> Manifest:
    """Colour images of 4 x 6 in another space."""
    random = np.random.default_rng(12)
    kernel = random.integers(-2047, 2048, 81).tolist()
    spec = {"kind": "conv_whiten", "gain": 0.0625, "size": 3, "kernel": kernel}
    return images_manifest(image=colour()[0]["image"] | {"preprocessing": spec})


def labels(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def colour() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    image = {
        "channels": 3,
        "height": 4,
        "width": 6,
        "colour": "rgb",
        "preprocessing": {"kind": "standardise", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.3]},
    }
    patches = {"grid": [3, 3], "size": [4, 6], "origins": "linspace-half-even"}
    recipe = manifest().recipe | {"batch_size": 9}
    random = np.random.default_rng(3).normal(size=(3, 7, 11)).astype(np.float32)
    fixed = {"kind": "fixed", "pooling": "majority"}
    changes = {"image": image, "patches": patches, "recipe": recipe, "labels": fixed}
    return changes, {"poster": random * np.array([1, 2, 3], np.float32)[:, None, None]}


def smooth() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A poster whose neighbours are alike, so that its prediction is worth its parameters."""
    changes, tensors = colour()
    changes["patches"] = {"grid": [9, 9], "size": [4, 6], "origins": "linspace-half-even"}
    changes["recipe"] = changes["recipe"] | {"batch_size": 81}
    y, x = np.mgrid[:24, :30] / 24
    waves = [np.sin(6 * x + c) + (c + 1) * np.cos(5 * y + 2 * x) for c in range(3)]
    noise = np.random.default_rng(11).normal(0, 0.05, (3, 24, 30))
    return changes, tensors | {"poster": (np.stack(waves) + noise).astype(np.float32)}


def per_class() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Three posters of 6 x 5 and 6 x 6 pixels side by side, with 2 x 2 patches each."""
    patches = {"grid": [6, 2], "size": [4, 4], "origins": "per-class"}
    recipe = manifest().recipe | {"batch_size": 12}
    kind = {"kind": "learned", "pooling": "area", "grid": [6, 2]}
    poster = np.random.default_rng(13).normal(size=(1, 6, 16)).astype(np.float32)
    changes = {"patches": patches, "recipe": recipe, "labels": kind}
    return changes, {"poster": poster, "labels": labels(2, 6, 3, seed=14)}


def one_class() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    changes = {
        "classes": ("only",),
        "order": {"grid": [1, 1], "cells": [0], "rule": "image"},
    }
    return changes, arrays() | {"labels": labels(2, 4, 1, seed=4)}


def many_classes() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    grid, count = [16, 19], 300
    cells = [(7 * i) % count for i in range(count)] + [0, 1, 2, 3]
    changes = {
        "classes": tuple(f"class {i}" for i in range(count)),
        "order": {"grid": grid, "cells": cells, "rule": "clip", "score": 0.125},
        "labels": {"kind": "fixed", "pooling": "majority"},
        "patches": {"grid": [21, 21], "size": [4, 4], "origins": "linspace-half-even"},
        "recipe": manifest().recipe | {"batch_size": 50},
    }
    random = np.random.default_rng(5).normal(size=(1, 40, 44)).astype(np.float32)
    return changes, {"poster": random}


def one_patch() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    changes = {
        "patches": {"grid": [1, 1], "size": [4, 4], "origins": "linspace-half-even"},
        "labels": {"kind": "learned", "pooling": "area", "grid": [3, 1]},
        "recipe": manifest().recipe | {"batch_size": 1},
    }
    random = np.random.default_rng(6).normal(size=(1, 4, 4)).astype(np.float32)
    return changes, {"poster": random, "labels": labels(1, 3, 3, seed=7)}


def everything() -> dict[str, Any]:
    return {
        "measured": {
            "accuracy_mean": 0.5,
            "accuracy_std": 0.125,
            "nets": 8,
            "steps": 100,
            "test": "zoo",
            "test_count": 10,
        },
        "external": ({"name": "some/model", "revision": "0" * 40, "bytes": 123},),
        "license": "CC0-1.0",
        "ignorable": {"note": "anything may stand here"},
        "provenance": {"tool": "test", "command": "ddcodec encode zoo --seed 5", "seed": 5},
        "recipe": {
            "network": {"name": "resnet", "norm": "batch", "depth": 18, "width": 64},
            "optimizer": {"name": "sgd", "lr": 0.5},
            "steps": 1000,
            "batch_size": 3,
            "augment": "flip",
            "loss": "mse",
        },
    }


def several_networks() -> dict[str, Any]:
    """Return what leaves out all that a table may leave out, and says again what differs."""
    own = everything()["measured"] | {"tool": "test 1.0, torch 2.9"}
    same = {"nets": 8, "steps": 200, "norm": "batch", "optimizer": "adam", "lr": 0.001}
    same |= {"accuracy_mean": 0.25, "accuracy_std": 0.0625, "tool": own["tool"]}
    return {
        "measured": own,
        "measured_networks": (
            same | {"network": "convnet3"},
            same | {"network": "convnet3-in", "norm": "instance", "lr": 1.0, "own": True},
            same | {"network": "timm:resnet10t", "norm": "own", "lr": 1.0, "accuracy_mean": 1},
            same | {"network": "vit 🐝", "norm": "layer", "nets": 2, "tool": "another"},
            same
            | {"network": "convnet3-in", "optimizer": "sgd", "lr": 1, "steps": 10, "own": True},
        ),
    }


def resealed(forgery: Forgery) -> bytes:
    """Return a forged file with the content digest put right."""
    file = read(forgery.build(), check=False)
    tensors = {n: hashlib.sha256(a.tobytes()).digest() for n, a in file.arrays.items()}
    forgery.manifest["content_digest"] = file.manifest.content(tensors)
    return forgery.build()


def expected(data: bytes) -> dict[str, Any]:
    """Return what a reader must find in a valid file."""
    file = read(data)
    images, soft = samples_of(file)
    seen = None if images is None else hashlib.sha256(images[:FIRST].tobytes()).hexdigest()
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "content_digest": file.manifest.content_digest,
        "manifest": full(file.manifest),
        "tensors": {n: hashlib.sha256(a.tobytes()).hexdigest() for n, a in file.arrays.items()},
        "samples": len(soft),
        "first_patches": seen,
        "first_labels": hashlib.sha256(soft[:FIRST].tobytes()).hexdigest(),
    }


def samples_of(file: DDSetFile) -> tuple[np.ndarray | None, np.ndarray]:
    """Return all images, float32 (N, C, H, W), and labels, float32 (N, classes), of a file.

    Images that only a model outside of the file can make are None.
    """
    import torch

    if file.manifest.codec["name"] == "d3m":
        return None, patch_labels(file.manifest, file.arrays)
    samples = decoded(file)
    return samples.gather(torch.arange(len(samples))).numpy(), samples.labels


def full(found: Manifest) -> dict[str, Any]:
    """Return a manifest as JSON with every default spelled out, without its digests."""
    body = replace(found, content_digest="", data_digest="").as_json()
    del body["content_digest"], body["data_digest"]
    return body


def refusal(data: bytes) -> dict[str, Any]:
    """Return how a reader refuses a file."""
    try:
        read(data)
    except InvalidFile as error:
        return {"exit": 3, "code": error.code, "message": str(error)}
    except Unsupported as error:
        return {"exit": 4, "code": None, "message": str(error)}
    raise AssertionError("the file is valid")


def main() -> None:
    small = to_bytes(manifest(), arrays(), STORAGE)[0]
    invalid = {name: make(small) for name, (_, make) in CASES.items()}
    invalid |= {name: make(small) for name, make, _ in CODEC_CASES}
    invalid = {name: data for name, data in invalid.items() if len(data) <= LARGEST}
    for kind, files in (("valid", valid()), ("invalid", invalid)):
        folder = FOLDER / kind
        folder.mkdir(parents=True, exist_ok=True)
        describe = expected if kind == "valid" else refusal
        for name, data in files.items():
            (folder / f"{name}.ddset").write_bytes(data)
        listing = {name: describe(data) for name, data in sorted(files.items())}
        text = json.dumps(listing, indent=1, ensure_ascii=False, sort_keys=True)
        (FOLDER / f"{kind}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{len(files)} {kind} vectors")


if __name__ == "__main__":
    main()
