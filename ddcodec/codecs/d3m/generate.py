"""Noise from seeds, collages from noise, training images from collages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...errors import Unsupported
from ...priors.model import Prior, Prompt
from ...priors.sampling import batch_of, make, sample
from ...priors.settings import PLACE
from ...runtime.world import neutral
from .noise import normal
from .rules import blocks_of

if TYPE_CHECKING:
    from ...format import Manifest

STREAM = 1 << 32  # streams of noise that a class has, one a seed


@dataclass(frozen=True)
class Wish:
    """One collage to be made: of which class, from which seed."""

    label: int
    seed: int


class Generator:
    """Makes the images that a manifest describes, with a model that is loaded.

    All classes of a batch may differ. The rounding of a model's arithmetic depends on device,
    library and batch, so images repeat up to rounding only.
    """

    def __init__(
        self,
        prior: Prior,
        params: dict[str, Any],
        classes: Sequence[str],
        tokens: NDArray[Any] | None,
        image_shape: tuple[int, int, int],
    ) -> None:
        """Take ``codec.params`` and tokens (classes, d) of a file, or None for names.

        ``image_shape`` is (C, H, W) of the training images; grey ones may come from a model of
        coloured ones.

        Raises Unsupported where the model cannot make such images or has other tokens.
        """
        if tokens is not None and tokens.shape[1] != prior.width:
            raise Unsupported(
                f"the tokens have {tokens.shape[1]} values, those of {prior.folder.name} have "
                f"{prior.width}; it is another model"
            )
        if image_shape[0] not in (1, prior.channels):
            raise Unsupported(
                f"the images have {image_shape[0]} channels, {prior.folder.name} makes "
                f"{prior.channels}; it is another model"
            )
        self.prior, self._params = prior, params
        self._channels, self._image_size = image_shape[0], image_shape[1:]
        height, width = params["size"]
        self._latent = prior.latent_shape(height, width)
        self.batch = batch_of(height, width)  # collages made at a time
        self._tokens = None if tokens is None else torch.from_numpy(tokens.astype(np.float32))
        self._classes = list(classes)
        self._scheduler = make(params["scheduler"]["name"], params["scheduler"]["config"])
        self._empty: Tensor | None = None

    @classmethod
    def of(cls, prior: Prior, manifest: Manifest, arrays: dict[str, NDArray[Any]]) -> Generator:
        """Return the generator of a file that was read."""
        image = manifest.image
        shape = (image["channels"], image["height"], image["width"])
        return cls(prior, manifest.codec["params"], manifest.classes, arrays.get("tokens"), shape)

    @neutral()
    def collages(self, wishes: Sequence[Wish]) -> Tensor:
        """Return collages uint8 (n, C, h, w) on the CPU."""
        starts = range(0, len(wishes), self.batch)
        return torch.cat([self._collages(wishes[i : i + self.batch]).cpu() for i in starts])

    def images(self, wishes: Sequence[Wish]) -> Tensor:
        """Return the training images of each collage, uint8 (n, blocks, C, H, W), on the CPU.

        A collage of n x n patches is cut into blocks of m x m, row by row; each is scaled to the
        size of an image with an antialiased bicubic filter. Grey is the mean of the channels.
        """
        collages = self.collages(wishes)
        if self._channels < collages.shape[1]:
            collages = collages.float().mean(1, keepdim=True).round().to(torch.uint8)
        across = self._params["collage"] // self._params["take"]
        count, channels, height, width = collages.shape
        h, w = height // across, width // across
        parts = collages.view(count, channels, across, h, across, w).permute(0, 2, 4, 1, 3, 5)
        parts = parts.reshape(-1, channels, h, w)
        if (h, w) != self._image_size:
            scaled = F.interpolate(parts.float(), self._image_size, mode="bicubic", antialias=True)
            parts = scaled.round().clamp(0, 255).to(torch.uint8)
        return parts.view(count, blocks_of(self._params), channels, *self._image_size)

    def _collages(self, wishes: Sequence[Wish]) -> Tensor:
        params, prior = self._params, self.prior
        streams = [wish.label * STREAM + wish.seed for wish in wishes]
        noise = np.stack([normal(self._latent, params["key"], stream) for stream in streams])
        with torch.no_grad():
            if self._empty is None or self._empty.device != prior.device:
                self._empty = prior.condition([prior.prompt("")])
            labels = sorted({wish.label for wish in wishes})
            rows = torch.tensor([labels.index(wish.label) for wish in wishes])
            prompts = [self._prompt(label) for label in labels]
            tokens = None if self._tokens is None else self._tokens[labels]
            told = prior.condition(prompts, tokens)[rows.to(prior.device)]
            how = (self._scheduler, params["steps"], params["guidance"])
            return sample(prior, torch.from_numpy(noise), told, self._empty, *how)

    def _prompt(self, label: int) -> Prompt:
        text = self._params["prompt"]
        if self._tokens is None:
            text = text.replace(PLACE, self._classes[label].replace("_", " ").replace(PLACE, " "))
        return self.prior.prompt(text)
