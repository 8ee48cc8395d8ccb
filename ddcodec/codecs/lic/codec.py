"""LIC, squeezed images with compensation (Sun et al., OpenReview 2SnmKd1JK4), as a codec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..base import Arrays, Codec, Description, ModelPlace, Paper, Pictures, Request
from ..shared.rules import check_symbols
from .options import LIC
from .rules import check_lic, regions_of

if TYPE_CHECKING:
    from ...format import DDSetFile, Manifest, Sizes
    from ...limits import Limits
    from ..samples import Samples
    from .decode import MosaicChunks


class LICCodec(Codec):
    """Mosaics of real images, adapted to an observer, with soft labels of their regions."""

    name = "lic"
    title = "real images, squeezed into mosaics, with labels of their parts"
    papers = (
        Paper(
            "Sun, Shi, Shang, Lin",
            "Information Compensation: A Fix for Any-scale Dataset Distillation",
            "https://openreview.net/forum?id=2SnmKd1JK4",
        ),
    )
    Options = LIC
    in_chunks = True

    def check(self, manifest: Manifest, limits: Limits) -> None:
        check_lic(manifest, limits)

    def check_values(self, manifest: Manifest, arrays: Arrays) -> None:
        check_symbols(manifest, arrays)

    def encode(self, request: Request, options: Any) -> Manifest:
        from .encode import encode

        return encode(request, options)

    def decode(self, file: DDSetFile, place: ModelPlace) -> Samples:
        from .decode import decode

        return decode(file.manifest, file.arrays)

    def describe(self, manifest: Manifest, sizes: Sizes) -> Description:
        count, _, height, width = manifest.tensors["images"].shape
        columns, rows = manifest.codec["params"]["cells"]
        regions = regions_of(manifest)
        text = f"{count:,} of {columns}x{rows} cells, {count * regions:,} training images"
        return Description(
            count * height * width,
            {"mosaics": {"count": count, "cells": [columns, rows], "regions": regions}},
            [("mosaics", text)],
        )

    def pictures(self, manifest: Manifest, arrays: Arrays, count: int) -> Pictures:
        """Show mosaics as they are: the last region of each."""
        regions = regions_of(manifest)
        return Pictures(samples=range(regions - 1, count, regions))

    def chunks(self, manifest: Manifest) -> MosaicChunks:
        from .decode import MosaicChunks

        return MosaicChunks(manifest)


CODEC = LICCodec()
