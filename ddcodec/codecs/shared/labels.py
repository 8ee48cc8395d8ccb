"""Soft labels in bytes: how probable a class is against the most probable one, in 1/16 octaves.

A symbol q stands for the weight 2^(-q / 16), 255 for none: the ratio of two shares is kept within
2.2 %, down to 1.7e-5 of the largest. The logits of the observer (divided by a temperature) are
thereby held to 8 bits each. Either every class has a symbol, or the k most probable ones have, and
one more symbol says what is left for all others together (specification, section 8.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import UsageError
from .rules import NOTHING, class_indices, index_planes, top_of

OCTAVE = 16


def _fraction(f: int) -> int:
    # The 16th root by four square roots of integers: a library's power may differ in the last bit.
    root = 1 << (41 * OCTAVE - f)
    for _ in range(4):
        root = isqrt(root)
    return (root + 1) // 2


FRACTIONS = [_fraction(f) for f in range(OCTAVE)]  # round(2^(40 - f / 16))
WEIGHTS = np.array(
    [FRACTIONS[q % OCTAVE] * 2.0 ** -(40 + q // OCTAVE) if q < NOTHING else 0.0 for q in range(256)]
)

Kind = Literal["logits", "top", "index", "teacher"]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class LabelPlan:
    """How the labels of a file are stored.

    ``logits`` is a symbol for every class, ``top`` for the k most probable, ``index`` the class of
    the images, ``teacher`` the observer itself in integers, which labels decoded images and, where
    ``live``, every view that a student sees.
    """

    kind: Kind
    top: int = 0  # k; 0 for the other kinds
    temperature: float = 1.0  # the observer's logits are divided by it
    live: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return ``labels`` of the manifest, of a teacher the fields that hold for any."""
        if self.kind == "index":
            return {"kind": "index"}
        live = {"live": True} if self.live else {}
        return {"kind": self.kind, "temperature": self.temperature, **live}

    def as_option(self) -> str:
        """Return the word that asks for these labels."""
        teacher = "live" if self.live else "embed-teacher"
        words = {"top": f"top={self.top}", "index": "class", "teacher": teacher}
        return words.get(self.kind, self.kind)


def plan_labels(text: str, classes: int, temperature: float) -> LabelPlan:
    """Return what ``auto``, ``logits``, ``top=K``, ``class``, ``embed-teacher``, ``live`` mean.

    ``auto`` stores all logits up to 256 classes, above them the 16 most probable. Raises
    UsageError.
    """
    if text == "auto":
        text = "logits" if classes <= 256 else "top=16"
    count = top_of(text)
    if text == "class":
        return LabelPlan("index")
    if text in ("embed-teacher", "live"):
        return LabelPlan("teacher", 0, temperature, text == "live")
    if text == "logits":
        return LabelPlan("logits", 0, temperature)
    if not 1 <= count < classes:
        raise UsageError(f"`labels`={text}: K must be from 1 to {classes - 1}, below all classes")
    return LabelPlan("top", count, temperature)


def store(logits: Tensor, plan: LabelPlan) -> Arrays:
    """Return the tensors of soft labels for logits (M, R, classes), by name.

    ``logits``: labels uint8 (M, R, classes). ``top``: labels uint8 (M, R, k + 1), the last for the
    rest, and label_classes uint8 (M, R, planes, k), the bytes of class indices, low ones first.
    """
    share = torch.log_softmax(logits.double() / plan.temperature, -1)
    if plan.kind == "logits":
        return {"labels": _symbols(share)}
    top = share.topk(plan.top, -1)
    others = share.scatter(-1, top.indices, -torch.inf).logsumexp(-1, keepdim=True)
    planes = index_planes(logits.shape[-1])
    index = [(top.indices >> (8 * plane)) & 255 for plane in range(planes)]
    return {
        "labels": _symbols(torch.cat([top.values, others], -1)),
        "label_classes": torch.stack(index, -2).to(torch.uint8).cpu().numpy(),
    }


def restore(arrays: dict[str, NDArray[Any]], kind: str, classes: int) -> NDArray[np.float32]:
    """Return the soft labels that stored tensors stand for, float32 (M x R, classes).

    Computed in binary64, added in the order of the classes, and rounded once.
    """
    stored = arrays["labels"]
    weights = WEIGHTS[stored.reshape(-1, stored.shape[-1])]
    if kind == "top":
        index = class_indices(arrays["label_classes"]).reshape(len(weights), -1)
        rest = weights[:, -1:] / (classes - index.shape[1])
        full = np.repeat(rest, classes, 1)
        np.put_along_axis(full, index, weights[:, :-1], 1)
        weights = full
    return shares(weights)


def shares(weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return rows of weights (N, classes), each divided by its sum, rounded once."""
    # A loop over columns: no library may then choose the order of the additions.
    mass = np.zeros(len(weights))
    for column in weights.T:
        mass += column
    rows: NDArray[np.float32] = (weights / mass[:, None]).astype(np.float32)
    return rows


def _symbols(share: Tensor) -> NDArray[np.uint8]:
    """Return symbols (uint8) of log shares; the largest of a row gets 0."""
    octaves = (share.amax(-1, keepdim=True) - share) / torch.log(torch.tensor(2.0).double())
    # What is below the last weight is kept at it, unless it is nothing at all.
    symbols = (octaves * OCTAVE).round().clamp(max=NOTHING - 1)
    symbols[share == -torch.inf] = NOTHING
    return symbols.to(torch.uint8).cpu().numpy()
