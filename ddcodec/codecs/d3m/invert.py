"""The patches of a class that the observer knows best, and the token learned from them.

Selection (paper, section 3.1): the formula says argmax, the text the minimum of the cross-entropy;
the text is followed. Textual inversion (section 3.2; Gal et al., 2022): UNet and text encoder are
frozen; the one vector moves until the model denoises collages of the class as well as it can. They
are put together anew for every step, so that no two are alike. Classes do not see each other: those
of a group share batches, no values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...errors import SourceError
from ...observers.file import Trained
from ...priors.captions import collage
from ...priors.model import Prior, Prompt
from ...priors.sampling import noise_scheduler, target
from ...runtime.rng import generator
from ...sources.split import ByClass
from ..shared.selection import candidates, ranked
from .params import D3MParams

KEPT = 2  # one in so many candidates is used
HALF_SCALE = 1024.0


def best_patches(
    pool: ByClass, label: int, name: str, observer: Trained, params: D3MParams, device: torch.device
) -> Tensor:
    """Return the patches of a class, the best first: uint8 (n, C, H, W) on ``device``.

    Of each candidate the image, or the best of several random crops at full size; of all
    candidates the half with the lowest loss. Raises SourceError where a class has one image only.
    """
    there = pool.count(label)
    if there < KEPT:
        raise SourceError(f"class '{name}' has {there} training image; d3m needs {KEPT} or more")
    count = min(there, params.options.candidates)
    images = candidates(pool, label, count, params.seed, device)
    select = params.options.select
    best = ranked(images, label, observer, select, params.seed)
    return best if select == "random" else best[: max(1, count // KEPT)]


def first_token(prior: Prior, name: str) -> Tensor:
    """Return where the token of a class begins: the mean embedding of its name, float32 (d,)."""
    return prior.embedding_of(name.replace("_", " "))


def invert(
    prior: Prior,
    prompt: Prompt,
    patches: Sequence[Tensor],
    begin: Tensor,
    labels: Sequence[int],
    params: D3MParams,
    step: Callable[[float], None],
) -> Tensor:
    """Return the learned tokens of some classes, float32 (n, d), on the CPU.

    ``patches`` of each class are uint8 (k, C, H, W); ``begin`` is (n, d); ``labels`` key what is
    random; ``step`` is told of the loss after each step.
    """
    scheduler = noise_scheduler(prior)
    count, each = len(labels), params.batch
    tokens = begin.clone().to(prior.device).requires_grad_()
    rate = params.rate * prior.embedding_scale()
    optimiser = torch.optim.AdamW([tokens], lr=rate, weight_decay=0.0)
    times_there = int(scheduler.config.num_train_timesteps)
    # Gradients of float16 would vanish; Adam does not mind the factor.
    scale = HALF_SCALE if prior.dtype == torch.float16 else 1.0
    prior.save_memory(True)
    for number in range(params.steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * number / params.steps))
        pictures, noises, times = [], [], []
        for own, label in zip(patches, labels, strict=True):
            random = generator(params.seed, "invert", label, number)
            made = random_collages(own, each, params, random)
            latents = prior.to_latents(made).float()
            pictures.append(latents)
            noises.append(torch.randn(latents.shape, generator=random))
            times.append(torch.randint(times_there, (each,), generator=random))
        x, noise = torch.cat(pictures), torch.cat(noises).to(prior.device)
        when = torch.cat(times).to(prior.device)
        told = prior.condition([prompt] * count, tokens).repeat_interleave(each, 0)
        out = prior.denoise(scheduler.add_noise(x, noise, when), when, told)
        error = (out.float() - target(scheduler, x, noise, when)).square().mean((1, 2, 3))
        # A sum over classes of means: the gradient of a token is that of its class alone.
        loss = error.view(count, each).mean(1).sum()
        (tokens.grad,) = torch.autograd.grad(loss * scale, tokens)
        if bool(tokens.grad.isfinite().all()):
            optimiser.step()
        step(float(loss.detach()) / count)
    prior.save_memory(False)
    return tokens.detach().float().cpu()


def random_collages(
    patches: Tensor, count: int, params: D3MParams, random: torch.Generator
) -> Tensor:
    """Return collages of randomly drawn patches, float32 (count, C, h, w) in 0..1."""
    drawn = torch.randint(len(patches), (count, params.collage**2), generator=random)
    made = [
        collage(patches[row.to(patches.device)].float() / 255, params.collage, params.size)
        for row in drawn
    ]
    return torch.stack(made)
