"""PoDD, one poster of overlapping patches (Shul et al., arXiv 2403.12040), as a codec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..base import Arrays, Codec, Description, ModelPlace, Paper, Pictures, Request
from ..shared.rules import check_soft
from .options import PoDD
from .poster_file import poster_of, poster_size
from .rules import check_podd
from .transform import BLOCK

if TYPE_CHECKING:
    from ...format import DDSetFile, Manifest, Sizes
    from ...limits import Limits
    from ..samples import Samples


class PoDDCodec(Codec):
    """A poster, the order of the classes on it, and soft labels of its patches."""

    name = "podd"
    title = "one poster, whose overlapping patches are the training images"
    papers = (
        Paper(
            "Shul, Horwitz, Hoshen",
            "Distilling Datasets Into Less Than One Image",
            "https://arxiv.org/abs/2403.12040",
        ),
    )
    Options = PoDD
    inseparable = "all its classes share one picture"

    def check(self, manifest: Manifest, limits: Limits) -> None:
        check_podd(manifest, limits)

    def check_values(self, manifest: Manifest, arrays: Arrays) -> None:
        check_soft(manifest, arrays)

    def encode(self, request: Request, options: Any) -> Manifest:
        from .encode import encode

        return encode(request, options)

    def decode(self, file: DDSetFile, place: ModelPlace) -> Samples:
        from .decode import decode

        return decode(file.manifest, file.arrays)

    def describe(self, manifest: Manifest, sizes: Sizes) -> Description:
        return describe_posters(manifest, ["poster"])

    def pictures(self, manifest: Manifest, arrays: Arrays, count: int) -> Pictures:
        return pictures_of(manifest, [poster_of(manifest, arrays)])


def describe_posters(manifest: Manifest, names: list[str]) -> Description:
    """Return what is to be said of posters of one size, by the names of their tensors."""
    assert manifest.patches is not None  # the reader refuses a manifest without
    spec = manifest.tensors[names[0]]
    params = manifest.codec["params"]
    transform = params.get("transform")
    height, width = poster_size(manifest) if transform else spec.shape[1:]
    columns, rows = manifest.patches["grid"]
    size, count = manifest.patches["size"], columns * rows * len(names)
    text = f"{height} x {width}"
    # Coefficients have a step; how many bits they take differs from one to the next.
    stored = int(spec.quantiser["bits"]) if spec.quantiser else 32
    bits = None if transform else stored
    poster: dict[str, Any] = {"height": height, "width": width, "bits": bits}
    said = f"{text}, {bits} bits"
    if grown := params.get("expanded"):
        poster["expanded"] = grown
        said = f"{text} expanded to {grown[0]} x {grown[1]}, {bits} bits"
    if transform:
        poster["transform"] = {"block": BLOCK, "step": transform["step"]}
        said = f"{text} from {BLOCK} x {BLOCK} coefficients, step {transform['step']:.4g}"
    return Description(
        len(names) * height * width,
        {
            "poster": poster,
            "patches": {"count": count, "grid": [columns, rows], "size": size},
        },
        [
            ("poster", said),
            ("patches", f"{count:,} ({columns}x{rows}) of {' x '.join(map(str, size))}"),
        ],
    )


def pictures_of(manifest: Manifest, posters: list[Any]) -> Pictures:
    """Return posters float32 (C, H, W) with the class grid and the patches of one's manifest."""
    from .decode import geometry_of, order_of

    order, geometry = order_of(manifest), geometry_of(manifest)
    left, top = geometry.origins_x, geometry.origins_y
    return Pictures(posters, order.grid, order.cells, left, top, noun="patches")


CODEC = PoDDCodec()
