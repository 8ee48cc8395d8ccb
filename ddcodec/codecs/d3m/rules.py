"""What must hold for a file of the codec ``d3m``: a model's inputs, and labels of its images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from ...errors import InvalidFile
from ...format.manifest import Manifest
from ...format.values import LARGEST, is_integer, is_number, is_text, need, shown
from ...limits import Limits
from ...priors.settings import DTYPES, PLACE, SCHEDULERS, SETTINGS, TIMES
from ..shared.rules import check_amount, check_symbol_tensors, check_symbols

PARAMS = {"prompt", "collage", "take", "images", "key", "size", "scheduler", "steps", "guidance",
          "dtype"}  # fmt: skip
MAX_COLLAGE = 16  # cells in a row and in a column
MAX_GENERATED = 4096  # pixels of a side
MAX_STEPS = 1000
MAX_TOKEN = 1 << 16  # values of a token
THUMBNAIL = 4  # pixels of a side of a fingerprint


def check_d3m(manifest: Manifest, limits: Limits) -> None:
    """Check everything that needs no tensor data; raises InvalidFile or LimitExceeded."""
    params, image = manifest.codec["params"], manifest.image
    need(isinstance(params, dict) and set(params) == PARAMS, "codec: params")
    _check_settings(params)
    _check_geometry(params, image)
    need(manifest.patches is None, "patches: the codec d3m has none")
    need(manifest.order is None, "order: the codec d3m has none")
    need(len(manifest.external) == 1, "external: the codec d3m needs one model")
    need("files" in manifest.external[0], "external: the model's files are missing")
    tensors, classes = manifest.tensors, len(manifest.classes)
    for name, spec in tensors.items():
        need(spec.chunk is None, f"tensor '{name}': must be in one piece", "DDS-E013")
    seeds = tensors.get("seeds")
    if seeds is None or seeds.dtype not in ("uint8", "int32") or len(seeds.shape) != 3:
        raise InvalidFile("tensor 'seeds': must be uint8 or int32 (V, classes, G)", "DDS-E013")
    collages = -(-params["images"] // blocks_of(params))
    fits = seeds.shape[1:] == (classes, collages)
    need(fits, "tensor 'seeds': must have a row a class, as long as its images need", "DDS-E013")
    images = seeds.shape[0] * classes * params["images"]
    check_amount(images * params["take"] ** 2, "patches", classes, limits)
    thumbs = tensors.get("fingerprints")
    shape = (classes, THUMBNAIL, THUMBNAIL)
    fits = thumbs is not None and (thumbs.dtype, thumbs.shape) == ("uint8", shape)
    need(fits, "tensor 'fingerprints': must be uint8 (classes, 4, 4)", "DDS-E013")
    token = tensors.get("tokens")
    if token is not None:
        fits = token.dtype in ("float16", "float32") and len(token.shape) == 2
        fits = fits and token.shape[0] == classes and token.shape[1] <= MAX_TOKEN
        need(fits, "tensor 'tokens': must be float16 or float32 (classes, d)", "DDS-E013")
    _check_labels(manifest, images)


def blocks_of(params: dict[str, Any]) -> int:
    """Return the images that a collage is cut into."""
    return int(params["collage"] // params["take"]) ** 2


def _check_settings(params: dict[str, Any]) -> None:
    prompt, scheduler = params["prompt"], params["scheduler"]
    need(is_text(prompt) and prompt.count(PLACE) == 1, "codec: prompt must hold one '*'")
    key = params["key"]
    need(is_integer(key) and 0 <= key <= LARGEST, "codec: key is an integer from 0 to 2^53")
    steps = params["steps"]
    need(is_integer(steps) and 1 <= steps <= MAX_STEPS, "codec: steps must lie in 1..1000")
    need(is_number(params["guidance"], 0, 100), "codec: guidance must lie in 0..100")
    need(params["dtype"] in DTYPES, "codec: unknown dtype")
    good = isinstance(scheduler, dict) and set(scheduler) == {"name", "config"}
    need(good and scheduler["name"] in SCHEDULERS, "codec: unknown scheduler")
    config = scheduler["config"]
    need(isinstance(config, dict) and bool(config), "codec: scheduler config")
    for name, value in config.items():
        need(name in SETTINGS, f"codec: the scheduler has no setting {shown(name)}")
        need(SETTINGS[name](value), f"codec: the scheduler's {name} has a value not allowed")
    enough = steps <= config.get("num_train_timesteps", TIMES)
    need(enough, "codec: more steps than the scheduler's num_train_timesteps")


def _check_geometry(params: dict[str, Any], image: dict[str, Any]) -> None:
    code, size = "DDS-E012", params["size"]
    n, m = params["collage"], params["take"]
    good = is_integer(n) and is_integer(m) and 1 <= m <= n <= MAX_COLLAGE and n % m == 0
    need(good, "codec: take must divide collage, both 1 to 16", code)
    good = isinstance(size, list) and len(size) == 2 and all(is_integer(s) for s in size)
    good = good and all(n <= s <= MAX_GENERATED and s % n == 0 for s in size)
    need(good, "codec: size must be a multiple of collage, at most 4096", code)
    need(m <= min(image["height"], image["width"]), "codec: more patches than pixels", code)
    images = params["images"]
    need(is_integer(images) and 1 <= images <= LARGEST, "codec: images must be 1 or more", code)


def _check_labels(manifest: Manifest, images: int) -> None:
    labels, tensors, code = manifest.labels, manifest.tensors, "DDS-E014"
    regions = manifest.codec["params"]["take"] ** 2
    kind = str(labels.get("kind"))
    need(kind in ("logits", "top", "class"), "labels: kind must be logits, top or class", code)
    need(set(labels) == ({"kind"} if kind == "class" else {"kind", "temperature"}),
         "labels: fields", code)  # fmt: skip
    need(is_number(labels.get("temperature", 1), 0.01, 100), "labels: temperature", code)
    wanted = {"seeds", "fingerprints"} | ({"tokens"} & set(tensors))
    wanted |= {"class": set(), "logits": {"labels"}, "top": {"labels", "label_classes"}}[kind]
    need(set(tensors) == wanted, f"tensors: labels of kind {kind} need others", "DDS-E013")
    if kind != "class":
        check_symbol_tensors(manifest, kind, images, regions, axes="images, patches")


def check_d3m_values(manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Check seeds and labels of decoded tensors; raises InvalidFile."""
    seeds = arrays.get("seeds")
    if seeds is not None and int(seeds.min()) < 0:
        raise InvalidFile("tensor 'seeds': a seed is negative", "DDS-E012")
    check_symbols(manifest, arrays)
