"""Files of the codec d3m: the valid ones of the vectors, and hostile ones made from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ddcodec.format import Manifest, Storage, to_bytes
from tests.helpers.hostile import Change, Forgery, drop, set_path
from tests.helpers.small_files import manifest

CLASSES = ("ant", "bee", "cat")
PARAMS: dict[str, Any] = {
    "prompt": "a photo of *",
    "collage": 1,
    "take": 1,
    "images": 4,
    "key": 7,
    "size": [8, 8],
    "scheduler": {"name": "ddim", "config": {"beta_schedule": "linear", "clip_sample": True}},
    "steps": 20,
    "guidance": 2.0,
    "dtype": "float32",
}
MODEL = {
    "name": "tiny",
    "revision": "sha256 0123456789abcdef",
    "bytes": 1234,
    "files": {
        "text_encoder/model.safetensors": "12" * 32,
        "unet/diffusion_pytorch_model.safetensors": "34" * 32,
    },
}


def d3m_manifest(
    kind: str = "logits", classes: tuple[str, ...] = CLASSES, **params: Any
) -> Manifest:
    """Return a manifest of grey images of 8 x 8 pixels."""
    labels = {"kind": kind} | ({} if kind == "class" else {"temperature": 2.0})
    return manifest(
        codec={"name": "d3m", "version": 1, "params": PARAMS | params},
        classes=classes,
        image={
            "channels": 1,
            "height": 8,
            "width": 8,
            "colour": "grey",
            "preprocessing": {"kind": "standardise", "mean": [0.5], "std": [0.25]},
        },
        labels=labels,
        order=None,
        patches=None,
        external=(MODEL,),
    )


def d3m_arrays(
    found: Manifest, variations: int = 1, width: int = 5, seed: int = 41
) -> dict[str, np.ndarray]:
    """Return seeds, fingerprints, tokens of ``width`` values (0 for none) and labels."""
    random = np.random.default_rng(seed)
    params, classes = found.codec["params"], len(found.classes)
    collages = -(-params["images"] // (params["collage"] // params["take"]) ** 2)
    images, regions = variations * classes * params["images"], params["take"] ** 2
    arrays: dict[str, np.ndarray] = {
        "seeds": random.integers(0, 256, (variations, classes, collages)).astype(np.uint8),
        "fingerprints": random.integers(0, 256, (classes, 4, 4)).astype(np.uint8),
    }
    if width:
        arrays["tokens"] = random.normal(size=(classes, width)).astype(np.float16)
    kind = found.labels["kind"]
    if kind == "class":
        return arrays
    top = min(3, classes - 1)
    symbols = top + 1 if kind == "top" else classes
    labels = random.integers(0, 256, (images, regions, symbols)).astype(np.uint8)
    np.put_along_axis(labels, random.integers(0, symbols, (images, regions, 1)), 0, -1)
    if kind == "top":
        drawn = random.permuted(np.tile(np.arange(classes), (images, regions, 1)), axis=-1)
        index = drawn[..., :top]
        planes = 1 if classes <= 256 else 2
        listed = np.stack([(index >> 8 * plane) & 255 for plane in range(planes)], -2)
        arrays["label_classes"] = listed.astype(np.uint8)
    return arrays | {"labels": labels}


def raw(arrays: dict[str, np.ndarray]) -> dict[str, Storage]:
    return {name: Storage(coder="raw") for name in arrays}


def d3m_valid() -> dict[str, bytes]:
    """Return every valid file by name."""
    many = tuple(f"class {i}" for i in range(300))
    collage = {"collage": 4, "take": 2, "images": 6, "size": [16, 16]}
    cases: dict[str, tuple[Manifest, dict[str, np.ndarray]]] = {}
    for name, found, more in (
        ("d3m-logits", d3m_manifest(), {}),
        ("d3m-top-of-many", d3m_manifest("top", many), {}),
        ("d3m-one-hot", d3m_manifest("class", images=1000), {}),
        ("d3m-names", d3m_manifest("class"), {"width": 0}),
        ("d3m-collages", d3m_manifest(**collage), {}),
        ("d3m-variations", d3m_manifest("top"), {"variations": 3}),
    ):
        arrays = d3m_arrays(found, **more)
        if name == "d3m-one-hot":
            arrays["seeds"] = arrays["seeds"].astype(np.int32) * 1000
        cases[name] = (found, arrays)
    files = {name: to_bytes(m, arrays, raw(arrays))[0] for name, (m, arrays) in cases.items()}
    found, arrays = cases["d3m-logits"]
    arrays = arrays | {"tokens": arrays["tokens"].astype(np.float32)}
    storage = raw(arrays) | {"tokens": Storage(bits=8), "labels": Storage(coder="context")}
    return files | {"d3m-coded": to_bytes(found, arrays, storage)[0]}


def of_d3m(change: Change, kind: str = "top") -> Callable[[bytes], bytes]:
    """Change a valid file of the codec d3m instead of the usual one."""

    def make(_: bytes) -> bytes:
        found = d3m_manifest(kind)
        arrays = d3m_arrays(found)
        forgery = Forgery.of(to_bytes(found, arrays, raw(arrays))[0])
        change(forgery)
        return forgery.build()

    return make


def with_values(name: str, value: int, dtype: type = np.uint8) -> Callable[[bytes], bytes]:
    """Make a file, right but for a tensor that holds one value throughout."""

    def make(_: bytes) -> bytes:
        found = d3m_manifest("top")
        arrays = d3m_arrays(found)
        arrays[name] = np.full(arrays[name].shape, value, dtype)
        return to_bytes(found, arrays, raw(arrays))[0]

    return make


def with_files(files: dict[str, str]) -> Change:
    def change(f: Forgery) -> None:
        f.manifest["external"][0]["files"] = files

    return change


P = "codec/params"
ORDER = {"grid": [1, 1], "cells": [0], "rule": "given"}
D3M_CASES: list[tuple[str, Callable[[bytes], bytes], str]] = [
    *[(name, of_d3m(change), code) for name, change, code in (
        ("d3m-without-params", lambda f: f.manifest["codec"].pop("params"), "DDS-E010"),
        ("d3m-params-of-text", set_path(P, "steps"), "DDS-E010"),
        ("d3m-another-param", set_path(f"{P}/run", "os.system"), "DDS-E010"),
        ("d3m-prompt-without-a-place", set_path(f"{P}/prompt", "a photo"), "DDS-E010"),
        ("d3m-prompt-with-two-places", set_path(f"{P}/prompt", "* and *"), "DDS-E010"),
        ("d3m-prompt-with-an-escape", set_path(f"{P}/prompt", "\x1b[2J*"), "DDS-E010"),
        ("d3m-key-below-zero", set_path(f"{P}/key", -1), "DDS-E010"),
        ("d3m-key-of-a-float", set_path(f"{P}/key", 1.5), "DDS-E010"),
        ("d3m-no-steps", set_path(f"{P}/steps", 0), "DDS-E010"),
        ("d3m-many-steps", set_path(f"{P}/steps", 1001), "DDS-E010"),
        ("d3m-guidance-of-text", set_path(f"{P}/guidance", "7"), "DDS-E010"),
        ("d3m-another-dtype", set_path(f"{P}/dtype", "int8"), "DDS-E010"),
        ("d3m-another-scheduler", set_path(f"{P}/scheduler/name", "euler"), "DDS-E010"),
        ("d3m-scheduler-without-config", set_path(f"{P}/scheduler", {"name": "ddim"}), "DDS-E010"),
        ("d3m-scheduler-config-of-a-list", set_path(f"{P}/scheduler/config/betas", [0.1]),
            "DDS-E010"),
        ("d3m-scheduler-config-of-a-path", set_path(f"{P}/scheduler/config/x", "../x"),
            "DDS-E010"),
        ("d3m-scheduler-config-of-a-class", set_path(f"{P}/scheduler/config/_class_name", "x"),
            "DDS-E010"),
        *[(f"d3m-scheduler-{name}", set_path(f"{P}/scheduler/config/{key}", value), "DDS-E010")
          for name, key, value in (
              ("setting-unknown", "warp_factor", 9),
              ("of-millions-of-times", "num_train_timesteps", 20_000_000),
              ("of-less-than-no-time", "num_train_timesteps", -5),
              ("of-half-a-time", "num_train_timesteps", 999.5),
              ("with-fewer-times-than-steps", "num_train_timesteps", 19),
              ("of-a-giant-order", "solver_order", 10**9),
              ("of-order-true", "solver_order", True),
              ("with-a-giant-offset", "steps_offset", 10**9),
              ("with-a-giant-beta", "beta_end", 1e9),
              ("of-another-beta-schedule", "beta_schedule", "zigzag"),
              ("of-another-prediction", "prediction_type", "flow_prediction"),
              ("of-another-spacing", "timestep_spacing", "random"),
              ("that-draws-noise", "algorithm_type", "sde-dpmsolver++"),
              ("with-a-flag-of-a-number", "thresholding", 1),
          )],
        ("d3m-take-that-does-not-divide", set_path(f"{P}/take", 2), "DDS-E012"),
        ("d3m-collage-of-many", set_path(f"{P}/collage", 17), "DDS-E012"),
        ("d3m-size-that-no-patches-divide", set_path(f"{P}/collage", 3), "DDS-E012"),
        ("d3m-giant-size", set_path(f"{P}/size", [4097, 8]), "DDS-E012"),
        ("d3m-size-of-one", set_path(f"{P}/size", [8]), "DDS-E012"),
        ("d3m-no-images", set_path(f"{P}/images", 0), "DDS-E012"),
        ("d3m-more-images-than-labels", set_path(f"{P}/images", 5), "DDS-E013"),
        ("d3m-with-patches", set_path("patches", {"grid": [1, 1]}), "DDS-E010"),
        ("d3m-with-an-order", set_path("order", ORDER), "DDS-E010"),
        ("d3m-without-a-model", lambda f: f.manifest.pop("external"), "DDS-E010"),
        ("d3m-of-two-models", lambda f: f.manifest["external"].append(MODEL), "DDS-E010"),
        ("d3m-model-without-files", lambda f: f.manifest["external"][0].pop("files"), "DDS-E010"),
        ("d3m-model-of-no-files", with_files({}), "DDS-E010"),
        ("d3m-model-outside-of-its-folder", with_files({"../x.safetensors": "0" * 64}),
            "DDS-E010"),
        ("d3m-model-of-a-pickle", with_files({"unet/model.bin": "0" * 64}), "DDS-E010"),
        ("d3m-model-with-a-short-digest", with_files({"x.safetensors": "0" * 32}),
            "DDS-E010"),
        ("d3m-learned-labels", set_path("labels", {}), "DDS-E014"),
        ("d3m-index-labels", set_path("labels", {"kind": "index"}), "DDS-E014"),
        ("d3m-labels-without-temperature", set_path("labels", {"kind": "top"}), "DDS-E014"),
        ("d3m-another-kind-of-label", set_path("labels/kind", "logits"), "DDS-E013"),
        ("d3m-seeds-are-missing", drop("seeds"), "DDS-E013"),
        ("d3m-fingerprints-are-missing", drop("fingerprints"), "DDS-E013"),
        ("d3m-labels-are-missing", drop("labels"), "DDS-E013"),
        ("d3m-tokens-of-bytes", lambda f: f.manifest["tensors"]["tokens"].update(dtype="uint8"),
            "DDS-E013"),
        ("d3m-seeds-in-chunks", lambda f: f.manifest["tensors"]["seeds"].update(
            chunk=1, digests=["0" * 64]), "DDS-E013"),
    )],
    ("d3m-seed-below-zero", with_values("seeds", -1, np.int32), "DDS-E012"),
    ("d3m-label-without-a-unit", with_values("labels", 1), "DDS-E014"),
    ("d3m-a-class-twice-in-a-label", with_values("label_classes", 1), "DDS-E011"),
    ("d3m-a-label-of-no-class", with_values("label_classes", 3), "DDS-E011"),
]  # fmt: skip
