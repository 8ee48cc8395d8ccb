"""D3M, a data set as prompts, seeds and soft labels: select, invert, generate, label, pack (paper,
section 3).

Tokens first, for groups of classes that do not see each other; then, with the tokens as the file
will hold them, the images of each group and their labels. Every finished group is kept beside the
output until the file is complete, so an interrupted encode goes on with what is missing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...errors import UsageError
from ...format import Manifest, read_manifest
from ...observers.file import Trained
from ...observers.file import load as load_observer
from ...priors.folder import find
from ...priors.model import Prior
from ...priors.model import load as load_prior
from ...runtime.device import threads_for
from ...runtime.ranks import Ranks, joined
from ..base import Request
from ..shared.groups import Group, Parts, in_groups
from ..shared.labels import store
from ..shared.mosaic import Mosaic
from .fingerprint import thumbnail
from .generate import Generator, Wish
from .invert import best_patches, first_token, invert
from .options import D3M
from .pack import codec_params, pack, seeds_of, stored_tokens
from .params import D3MParams, make_params


def encode(request: Request, options: D3M) -> Manifest:
    """Learn tokens, make and label images, write the file; return its manifest.

    Of several processes each works on its groups of classes, and the first writes the file.

    Raises UsageError, before any work, for what cannot work; KeyboardInterrupt with every finished
    group kept; CheckpointMismatch where the groups to go on from belong to another encode.
    """
    request.reporter.stage("reading images and models", 0)
    source, pool = request.source, request.source.by_class()
    assert options.observer is not None  # checked with the options
    assert options.prior is not None
    observer = load_observer(options.observer)
    observer.require_fit(source.classes, pool.shape)
    folder = find(options.prior, request.download)
    dtype = "float16" if folder.has("vae") and request.device.type == "cuda" else "float32"
    params = make_params(options, pool.shape, len(source.classes), folder, dtype, request.seed)
    # Each process takes it to its own device, once it knows which.
    prior = load_prior(folder, "cpu", params.options.dtype)
    if prior.channels < pool.shape[0]:
        raise UsageError(f"{folder.name} makes grey images, the data set has colours; use another")
    prior.latent_shape(*params.size)
    with joined() as ranks:
        work = Encode(request, observer, prior, params, ranks)
        with work.parts.shared(ranks, request.resume), threads_for(*params.size):
            if params.learned:
                work.invert()
                ranks.wait()
            work.label()
        if ranks.rank == 0:
            request.reporter.stage("packing", 0)
            arrays = work.arrays()
            with work.parts.finishing():
                pack(request, arrays, observer, prior, params)
        ranks.wait()
        return read_manifest(request.out)[0]


class Encode:
    """One encode: its groups of classes, and what is finished of them."""

    def __init__(
        self, request: Request, observer: Trained, prior: Prior, params: D3MParams, ranks: Ranks
    ) -> None:
        device = ranks.device(request.device)
        observer.network.to(device)
        self._source, self._pool = request.source, request.source.by_class()
        self._observer, self._prior, self._params = observer, prior.to(device), params
        self._device, self._reporter = device, request.reporter
        facts = (params.as_dict(), self._pool.digest(), observer.digest, prior.folder.digest)
        self.parts = Parts(request.out, *facts)
        self._groups = in_groups(len(self._source.classes), params.group)
        self._mine = [n for n in range(len(self._groups)) if ranks.mine(n)]
        self._codec_params = codec_params(params, prior)
        _, height, width = self._pool.shape
        self._geometry = Mosaic(height, width, params.take, params.take)

    def invert(self) -> None:
        """Learn the tokens of this process's groups that are not finished."""
        missing = [number for number in self._mine if not self.parts.has(number)]
        steps = self._params.steps
        self._reporter.stage("tokens", steps * len(self._mine))
        done = steps * (len(self._mine) - len(missing))

        def tell(loss: float) -> None:
            nonlocal done
            done += 1
            self._reporter.step(done, loss)

        prompt = self._prior.prompt(self._params.prompt)
        for number in missing:
            labels = list(self._groups[number])
            patches = [self._patches(label) for label in labels]
            names = [self._source.classes[label] for label in labels]
            begin = torch.stack([first_token(self._prior, name) for name in names])
            tokens = invert(self._prior, prompt, patches, begin, labels, self._params, tell)
            self.parts.save(number, {"tokens": tokens.numpy()})

    def label(self) -> None:
        """Make the images of this process's groups and label them."""
        tokens, first = self.tokens(), len(self._groups)
        if tokens is not None:
            tokens = stored_tokens(tokens, self._params.options.token_bits)
        maker = Generator(
            self._prior, self._codec_params, self._source.classes, tokens, self._pool.shape
        )

        def make(number: int) -> tuple[Group, float]:
            return self._labelled(maker, self._groups[number - first])

        numbers = [first + number for number in self._mine]
        self.parts.make("images", numbers, make, self._reporter)

    def tokens(self) -> NDArray[Any] | None:
        """Return all tokens as the file will hold them, (classes, d), or None for names."""
        if not self._params.learned:
            return None
        learned = [self.parts.load(number)["tokens"] for number in range(len(self._groups))]
        return np.concatenate(learned)

    def arrays(self) -> Group:
        """Return the tensors of the file from finished groups."""
        first = len(self._groups)
        groups = [self.parts.load(first + number) for number in range(len(self._groups))]
        found: Group = {}
        for name in groups[0]:
            # Of each variation the classes lie side by side; labels are one row an image then.
            axis = 0 if name == "fingerprints" else 1
            whole = np.concatenate([group[name] for group in groups], axis)
            found[name] = whole.reshape(-1, *whole.shape[3:]) if name.startswith("label") else whole
        found["seeds"] = seeds_of(self._params, len(self._source.classes))
        tokens = self.tokens()
        if tokens is not None:
            eight = self._params.options.token_bits == 8
            found["tokens"] = tokens if eight else tokens.astype(np.float16)
        return found

    def _patches(self, label: int) -> Tensor:
        name = self._source.classes[label]
        found = best_patches(self._pool, label, name, self._observer, self._params, self._device)
        # A model of colour images can learn from grey ones, not the other way round.
        return found.expand(-1, self._prior.channels, -1, -1)

    def _labelled(self, maker: Generator, group: range) -> tuple[Group, float]:
        """Return fingerprints and labels of some classes, (V, classes, S, R, ...), and the loss."""
        params, seeds = self._params, seeds_of(self._params, len(self._source.classes))
        variations = params.options.variations
        wishes = [
            Wish(label, int(seed))
            for variation in range(variations)
            for label in group
            for seed in seeds[variation, label]
        ]
        first = [i * params.collages for i in range(len(group))]
        thumbnails, logits = [], []
        for start in range(0, len(wishes), maker.batch):
            images = maker.images(wishes[start : start + maker.batch])
            shown = [i - start for i in first if start <= i < start + len(images)]
            if shown:
                thumbnails.append(thumbnail(images[shown, 0]))
            if not params.one_hot:
                logits.append(self._logits(images))
        out: Group = {"fingerprints": np.concatenate(thumbnails)}
        if params.one_hot:
            return out, 0.0
        shape = (variations, len(group), params.collages * params.blocks)
        seen = torch.cat(logits).view(*shape, params.take**2, -1)[:, :, : params.images]
        own = torch.tensor(list(group)).view(1, -1, 1, 1).expand(seen.shape[:-1])
        loss = float(F.cross_entropy(seen.flatten(0, 3), own.flatten()))
        labels = store(seen.flatten(0, 2), params.labels)
        each = (variations, len(group), params.images)
        for name, array in labels.items():
            out[name] = array.reshape(*each, *array.shape[1:])
        return out, loss

    def _logits(self, images: Tensor) -> Tensor:
        """Return the observer's logits of patches, (n blocks, R, classes), of (n, blocks, ...)."""
        geometry = self._geometry
        whole = images.flatten(0, 1).to(self._device)
        seen = []
        for cell in range(geometry.cells):
            patches = geometry.expand(whole, cell) if geometry.cells > 1 else whole
            seen.append(self._observer.logits(patches).cpu())
        return torch.stack(seen, 1)
