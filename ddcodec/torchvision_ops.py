"""Let torchvision's registry wheel be imported beside a CPU build of torch.

That wheel registers fake kernels for two operators of its compiled extension. Where the extension
cannot load (it is built against another torch), the import fails with "operator torchvision::nms
does not exist". Declaring the two operators first is enough: nothing here ever calls them.
"""

from __future__ import annotations

import importlib.util

import torch

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_library: torch.library.Library | None = None  # operators live as long as this object


def make_importable() -> None:
    """Declare the missing operators if, and only if, importing torchvision fails without them."""
    global _library
    if _library is not None or importlib.util.find_spec("torchvision") is None:
        return
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        import sys

        for name in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        _library = torch.library.Library("torchvision", "DEF")
        for schema in _SCHEMAS.values():
            _library.define(schema)
