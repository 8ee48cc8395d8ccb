"""An observer in a file: safetensors with its description as strict JSON, and a digest.

The description names an architecture of ``networks`` or a model of ``zoo``, which alone
decides names, shapes and types of the weights: a file that holds anything else is refused before
its weights are read.
"""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as to_bytes
from torch import Tensor

from ..errors import InvalidFile, UsageError
from ..format import strict_json
from ..format.opening import read_at, reading
from ..format.rules import check_preprocessing
from ..format.values import is_hex, is_number, is_text
from ..preprocessing.transform import Preprocess
from ..runtime.atomic import write_atomically
from ..runtime.rng import generator
from ..runtime.world import neutral
from .build import build, is_own
from .networks import SEEN_PIXELS, Observer
from .small_networks import SmallNetwork, size_of
from .zoo import LibraryObserver, is_library

KEY = "observer"  # the one entry of the safetensors metadata
FORMAT = 1
HEADER_BYTES = 16 << 20
FILE_BYTES = 1 << 30
NESTING = 8
SIDE = 4096
CLASSES = 100_000
COUNT = 2**53
COARSEST = 1024  # step, in deviations: every weight is 0 long before


@dataclass(frozen=True)
class Description:
    """What is known of an observer.

    ``training`` has ``steps``, ``seed`` and ``tool``; where it began from a checkpoint ``weights``,
    the first 32 digits of its SHA-256; and of a ``SmallNetwork`` ``round``, the step to whose
    multiples its weights are rounded (absent or 0: they are free).
    """

    architecture: str  # one that ``build`` knows; of a library with the layer
    classes: tuple[str, ...]  # names in label order
    image: dict[str, Any]  # ``channels``, ``height``, ``width``, ``preprocessing`` of a manifest
    source: dict[str, Any]  # ``name``, ``count`` and ``digest`` of the training images
    training: dict[str, Any]
    accuracy: float | None  # on the test split of the source

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images."""
        return self.image["channels"], self.image["height"], self.image["width"]


@dataclass(frozen=True)
class Trained:
    """An observer ready for use."""

    network: Observer  # in evaluation mode, its weights without gradients
    description: Description
    preprocess: Preprocess  # 8-bit images to the network's inputs
    digest: str  # SHA-256 of description and weights, 64 hex digits

    @neutral()
    def logits(self, images: Tensor) -> Tensor:
        """Return logits float32 (n, classes) of images uint8 (n, C, H, W), some at a time."""
        at_once = max(1, SEEN_PIXELS // (images.shape[2] * images.shape[3]))
        device = next(self.network.parameters()).device
        with torch.no_grad():
            parts = torch.split(images, at_once)
            return torch.cat([self.network(self.preprocess(part).to(device)) for part in parts])

    def require_fit(self, classes: tuple[str, ...], shape: tuple[int, int, int]) -> None:
        """Raise UsageError unless it was made for these classes and images (C, H, W)."""
        own = self.description.shape
        if own != shape:
            raise UsageError(
                f"the observer sees images of {_shape_text(own)} (channels x height x width), the "
                f"data set has {_shape_text(shape)}; train an observer on this data set"
            )
        if self.description.classes != classes:
            raise UsageError(
                f"the observer knows {len(self.description.classes)} classes, the data set has "
                f"{len(classes)}, or their names or order differ; train an observer on it"
            )


def save(path: str | os.PathLike[str], network: Observer, description: Description) -> str:
    """Write an observer atomically and return its digest; raises OutputError."""
    # Copies: a library's model may use one tensor twice.
    weights = {
        name: tensor.detach().cpu().float().contiguous().clone()
        for name, tensor in _weights(network)
    }
    body = {**asdict(description), "format": FORMAT}
    digest = _digest(body, weights)
    text = strict_json.dumps({**body, "digest": digest})

    write_atomically(Path(path), to_bytes(weights, metadata={KEY: text}), load)
    return digest


@neutral()
def load(path: str | os.PathLike[str]) -> Trained:
    """Read an observer; nothing in the file is executed, and sizes are checked before memory.

    Raises:
        SourceError: the file cannot be read. InvalidFile: it is no observer, or damaged.
    """
    path = Path(path)

    def invalid(why: str) -> InvalidFile:
        return InvalidFile(f"{path}: {why}; make one with 'ddcodec observer train'")

    with reading(path), path.open("rb") as file:
        total = os.fstat(file.fileno()).st_size
        length = int.from_bytes(read_at(file, 0, min(8, total)), "little")
        if not 2 <= length <= min(HEADER_BYTES, total - 8) or total > FILE_BYTES:
            raise invalid("not an observer, or one cut short")
        try:
            header = strict_json.loads(read_at(file, 8, length).rstrip(b" "), NESTING)
            text = header["__metadata__"][KEY].encode()
            body = strict_json.loads(text, NESTING)
            description, digest = _described(body)
        except (InvalidFile, KeyError, TypeError, AttributeError, ValueError):
            raise invalid("its header is not that of an observer") from None
        # On this device nothing has memory, a model of a library neither.
        with torch.device("meta"):
            network = build(description.architecture, *description.shape, len(description.classes))
        del header["__metadata__"]
        shapes = {name: list(tensor.shape) for name, tensor in _weights(network)}
        if not _fits(header, shapes, total - 8 - length):
            raise invalid(f"its weights are not those of {description.architecture}")
        if isinstance(network, LibraryObserver):
            network.begin(generator(0, "tables"))  # what is no weight is as the library makes it
        data = read_at(file, 8 + length, total - 8 - length)
    weights: dict[str, Tensor] = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = np.frombuffer(data[begin:end], "<f4").astype(np.float32)
        if not np.isfinite(values).all():
            raise invalid("a weight is not finite")
        weights[name] = torch.from_numpy(values.reshape(entry["shape"]))
    del body["digest"]
    if _digest(body, weights) != digest:
        raise invalid("damaged, its digest does not match")
    return ready(network, weights, description, digest)


def ready(
    network: Observer, weights: dict[str, Tensor], description: Description, digest: str
) -> Trained:
    """Return a network from ``build`` with these weights, frozen and in evaluation mode."""
    # What is no weight: counters of norms, and tables of a library's model, which it made itself.
    rest = {
        name: torch.zeros((), dtype=torch.int64) if name.endswith("num_batches_tracked") else tensor
        for name, tensor in network.state_dict().items()
    }
    network.load_state_dict({**rest, **weights}, assign=True)
    if isinstance(network, SmallNetwork):
        network.round_to(float(description.training.get("round", 0)))
    network.eval().requires_grad_(False)
    preprocess = Preprocess(description.image["preprocessing"], *description.shape)
    return Trained(network, description, preprocess, digest)


def _weights(network: Observer) -> list[tuple[str, Tensor]]:
    # A norm counts its batches, but with a fixed momentum nothing reads the count. Other integers
    # are tables that follow from the architecture.
    state = network.state_dict()
    return [(name, tensor) for name, tensor in state.items() if tensor.is_floating_point()]


def _digest(body: dict[str, Any], weights: dict[str, Tensor]) -> str:
    h = hashlib.sha256(strict_json.dumps(body).encode())
    for name in sorted(weights):
        h.update(name.encode() + b"\0" + weights[name].numpy().astype("<f4").tobytes())
    return h.hexdigest()


def _described(body: Any) -> tuple[Description, str]:
    """Return the description and the digest of a parsed header; raises ValueError and the like."""
    digest = body["digest"]
    fields = {key: value for key, value in body.items() if key not in ("digest", "format")}
    fields["classes"] = tuple(fields["classes"])
    description = Description(**fields)
    image, source, training = description.image, description.source, description.training
    good = (
        body["format"] == FORMAT
        and (is_own(description.architecture) or is_library(description.architecture))
        and 1 <= len(description.classes) <= CLASSES
        and len(set(description.classes)) == len(description.classes)
        and all(is_text(name) for name in description.classes)
        and set(image) == {"channels", "height", "width", "preprocessing"}
        and image["channels"] in (1, 3)
        and all(_is_count(image[name], SIDE) for name in ("channels", "height", "width"))
        and set(source) == {"name", "count", "digest"}
        and is_text(source["name"])
        and _is_count(source["count"])
        and is_hex(source["digest"], 32)
        and set(training) - {"weights", "round"} == {"steps", "seed", "tool"}
        and is_number(training.get("round", 0), 0, COARSEST)
        and ("round" not in training or size_of(description.architecture) is not None)
        and is_hex(training.get("weights", "0" * 32), 32)
        and (training["steps"] == 0 or _is_count(training["steps"]))
        and (training["seed"] == 0 or _is_count(training["seed"]))
        and is_text(training["tool"])
        and (description.accuracy is None or is_number(description.accuracy, 0, 1))
        and is_hex(digest, 64)
        and image["preprocessing"]["kind"] in ("none", "standardise")
    )
    if not good:
        raise ValueError("a field has a value that is not allowed")
    check_preprocessing(image)
    return description, digest


def _fits(header: dict[str, Any], shapes: dict[str, list[int]], size: int) -> bool:
    """Say whether the entries are those weights, float32, without overlap, and nothing else."""
    if set(header) != set(shapes):
        return False
    spans = []
    for name, entry in header.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            return False
        offsets = entry["data_offsets"]
        if entry["dtype"] != "F32" or entry["shape"] != shapes[name]:
            return False
        if not isinstance(offsets, list) or not all(type(o) is int for o in offsets):
            return False
        if len(offsets) != 2 or offsets[1] - offsets[0] != 4 * math.prod(shapes[name]):
            return False
        spans.append(tuple(offsets))
    spans.sort()
    edges = [0, *(end for _, end in spans)]
    return all(begin == edge for (begin, _), edge in zip(spans, edges, strict=False)) and (
        edges[-1] == size
    )


def _is_count(value: Any, high: int = COUNT) -> bool:
    return type(value) is int and 1 <= value <= high


def _shape_text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
