"""The codecs: one folder a method. The registry is closed, a file can never name code to load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import Unsupported

if TYPE_CHECKING:
    from ..format import DDSetFile
    from .base import Samples
    from .d3m.decode import ModelPlace

ENCODERS = ("podd", "ppodd", "lic", "d3m")


def decode(file: DDSetFile, model: ModelPlace | None = None) -> Samples:
    """Turn a read file into samples; ``model`` says where what is not in the file is found.

    Raises Unsupported for a codec that this version cannot decode, and for a model that is needed
    and missing, or another one.
    """
    name = file.manifest.codec["name"]
    if name == "podd":
        from .podd.decode import decode as decode_podd

        return decode_podd(file.manifest, file.arrays)
    if name == "images":
        from .images import decode as decode_images

        return decode_images(file.manifest, file.arrays)
    if name == "lic":
        from .lic.decode import decode as decode_lic

        return decode_lic(file.manifest, file.arrays)
    if name == "ppodd":
        from .ppodd.decode import decode as decode_ppodd

        return decode_ppodd(file.manifest, file.arrays)
    if name == "d3m":
        from .d3m.decode import ModelPlace
        from .d3m.decode import decode as decode_d3m

        return decode_d3m(file.manifest, file.arrays, model or ModelPlace())
    raise Unsupported(
        f"codec '{name}' cannot be decoded by this version; known: podd, ppodd, images, lic, d3m"
    )
