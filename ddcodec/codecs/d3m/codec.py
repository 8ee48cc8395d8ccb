"""D3M, prompts for a diffusion model (Abbasi et al., arXiv 2403.07142), as a codec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..base import Arrays, Codec, Description, ModelPlace, Paper, Pictures, Request
from .options import D3M
from .rules import check_d3m, check_d3m_values

if TYPE_CHECKING:
    from ...format import DDSetFile, Manifest, Sizes
    from ...limits import Limits
    from ..samples import Samples


class D3MCodec(Codec):
    """A learned token a class, seeds and labels; a model outside of the file makes the images."""

    name = "d3m"
    title = "prompts and seeds for a diffusion model, with labels"
    papers = (
        Paper(
            "Abbasi, Shahbazi, Pirsiavash, Kolouri",
            "One Category One Prompt: Dataset Distillation using Diffusion Models",
            "https://arxiv.org/abs/2403.07142",
        ),
    )
    Options = D3M
    inseparable = "its images are made of seeds that count by their class"

    def check(self, manifest: Manifest, limits: Limits) -> None:
        check_d3m(manifest, limits)

    def check_values(self, manifest: Manifest, arrays: Arrays) -> None:
        check_d3m_values(manifest, arrays)

    def encode(self, request: Request, options: Any) -> Manifest:
        from .encode import encode

        return encode(request, options)

    def decode(self, file: DDSetFile, place: ModelPlace) -> Samples:
        from .decode import decode

        return decode(file.manifest, file.arrays, place)

    def describe(self, manifest: Manifest, sizes: Sizes) -> Description:
        params, seeds = manifest.codec["params"], manifest.tensors["seeds"]
        classes, patches = len(manifest.classes), params["take"] ** 2
        token = manifest.tensors.get("tokens")
        values = 0 if token is None else token.shape[1]
        images, variations = classes * params["images"], seeds.shape[0]
        collages = classes * seeds.shape[2]
        sets = f", {variations:,} variations" if variations > 1 else ""
        parts = f" of {patches} patches" if patches > 1 else ""
        return Description(
            # Pixels are those of an epoch, as in the paper.
            images * manifest.image["height"] * manifest.image["width"],
            {
                "generated": {
                    "images": images,
                    "patches": patches,
                    "variations": variations,
                    "collages": collages,
                    "tokens": values,
                }
            },
            [
                ("generated images", f"{images:,}{parts} from {collages:,} collages{sets}"),
                ("tokens", f"{values} values a class" if values else "none, class names"),
            ],
        )

    def pictures(self, manifest: Manifest, arrays: Arrays, count: int) -> Pictures:
        """Show the first variation."""
        return Pictures(samples=range(count // len(arrays["seeds"])))


CODEC = D3MCodec()
