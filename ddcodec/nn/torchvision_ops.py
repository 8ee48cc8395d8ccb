"""Let torchvision be imported where its compiled extension does not load beside this torch.

A torchvision wheel that was built against another torch (the registry's, beside a CPU build) still
registers fake kernels for two operators of that extension, so its import fails with "operator
torchvision::nms does not exist". Declaring the two operators first is enough for everything that
is plain Python in torchvision. Nothing here calls them; a call fails with a clear message.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys

import torch
from torch import library

OPERATORS = ("nms", "qnms")
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"  # of both


def make_importable() -> None:
    """Declare the operators that are missing if, and only if, torchvision cannot be imported.

    Does nothing where torchvision is absent or imports as it is; a second call does nothing.
    """
    if importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        # The failed import leaves submodules behind; the next one has to begin anew.
        for name in [m for m in sys.modules if m.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        for operator in OPERATORS:
            if not hasattr(torch.ops.torchvision, operator):
                library.define(f"torchvision::{operator}", SCHEMA)
