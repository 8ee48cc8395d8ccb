"""Anyone's distilled images with their labels, each stored as it is, as a codec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base import Arrays, Codec, Description, ModelPlace
from ..shared.rules import check_soft
from .rules import check_images

if TYPE_CHECKING:
    from ...format import DDSetFile, Manifest, Sizes
    from ...limits import Limits
    from ..samples import Samples
    from .decode import ImageChunks


class ImagesCodec(Codec):
    """Images and labels; files are written by ``pack``."""

    name = "images"
    title = "images and labels of any method, as they are"

    def check(self, manifest: Manifest, limits: Limits) -> None:
        check_images(manifest, limits)

    def check_values(self, manifest: Manifest, arrays: Arrays) -> None:
        check_soft(manifest, arrays)

    def decode(self, file: DDSetFile, place: ModelPlace) -> Samples:
        from .decode import decode

        return decode(file.manifest, file.arrays)

    def describe(self, manifest: Manifest, sizes: Sizes) -> Description:
        count, _, height, width = manifest.tensors["images"].shape
        return Description(count * height * width)

    def chunks(self, manifest: Manifest) -> ImageChunks:
        from .decode import ImageChunks

        return ImageChunks(manifest)


CODEC = ImagesCodec()
