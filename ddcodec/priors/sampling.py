"""From noise to images: deterministic schedulers of diffusers, and the loop around them."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..errors import Unsupported, one_line
from .model import Prior, require_libraries
from .settings import SETTINGS

# What defines how noise was added; the rest is a sampler's own.
NOISE_SETTINGS = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "prediction_type",
    "rescale_betas_zero_snr",
)
SAMPLER_SETTINGS = ("steps_offset", "timestep_spacing")
# dpm_solver: DPM-Solver++ of second order (Lu et al., arXiv 2211.01095); ddim: Song et al., 2021.
OWN_SETTINGS: dict[str, dict[str, Any]] = {
    "ddim": {"clip_sample": False, "set_alpha_to_one": False, "thresholding": False},
    "dpm_solver": {
        "algorithm_type": "dpmsolver++",
        "solver_order": 2,
        "solver_type": "midpoint",
        "lower_order_final": True,
        "final_sigmas_type": "zero",
        "thresholding": False,
    },
}
# A threshold of at most 1 is plain clipping.
IN_RANGE: dict[str, dict[str, Any]] = {
    "ddim": {"clip_sample": True, "clip_sample_range": 1.0},
    "dpm_solver": {"thresholding": True, "sample_max_value": 1.0},
}
BATCH_PIXELS = 1 << 20  # of images made at a time: a bound on the memory
BATCH_LATENTS = 256  # at a time, however small


def settings_for(name: str, prior: Prior) -> dict[str, Any]:
    """Return the full configuration of a scheduler for a model: plain values, no null."""
    own, kind = prior.schedule, kind_of(name)
    known = inspect.signature(kind.__init__).parameters
    shared = [key for key in (*NOISE_SETTINGS, *SAMPLER_SETTINGS) if key in own and key in known]
    given: dict[str, Any] = {key: own[key] for key in shared}
    if own.get("trained_betas") is not None:
        raise Unsupported(f"{prior.folder.name}: its scheduler has betas of its own; not supported")
    if prior.vae is None:
        # Pixels have a range; keeping to it costs nothing.
        given |= IN_RANGE[name]
    with _refusing(f"{prior.folder.name}: its scheduler cannot be made"):
        made = kind(**{**OWN_SETTINGS[name], **given})
    found = {
        key: value
        for key, value in sorted(dict(made.config).items())
        if key in SETTINGS and _is_plain(value)
    }
    for key, value in found.items():
        if not SETTINGS[key](value):
            raise Unsupported(
                f"{prior.folder.name}: its scheduler has {key} {value}, which files cannot hold"
            )
    return found


def _is_plain(value: Any) -> bool:
    # An infinity is a library's way to say that a limit is off, its default.
    return isinstance(value, (str, bool, int)) or (
        isinstance(value, float) and math.isfinite(value)
    )


def make(name: str, config: Mapping[str, Any]) -> Any:
    """Return a scheduler; raises Unsupported for a setting that this diffusers does not know."""
    kind = kind_of(name)
    unknown = sorted(set(config) - set(inspect.signature(kind.__init__).parameters))
    if unknown:
        raise Unsupported(
            f"the scheduler needs the setting '{unknown[0]}', which this diffusers does not know; "
            "update diffusers"
        )
    if "sde" in str(config.get("algorithm_type", "")):
        raise Unsupported("the scheduler draws noise at every step; only deterministic ones can")
    with _refusing("the scheduler cannot be made"):
        return kind(**config)


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Raise Unsupported for whatever a scheduler raises: its settings may come from a file."""
    with warnings.catch_warnings():
        # Quarrels inside of the libraries are no concern of the caller.
        warnings.simplefilter("ignore")
        try:
            yield
        except Exception as error:
            raise Unsupported(f"{what}: {one_line(error)[:300]}") from None


def noise_scheduler(prior: Prior) -> Any:
    """Return a scheduler that adds noise as the model was trained with."""
    given = {key: prior.schedule[key] for key in NOISE_SETTINGS if key in prior.schedule}
    return kind_of("ddim")(**given)


def target(scheduler: Any, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
    """Return what the UNet should answer: the noise, the velocity, or the latents themselves."""
    kind = scheduler.config.prediction_type
    if kind == "v_prediction":
        velocity: Tensor = scheduler.get_velocity(latents, noise, times)
        return velocity
    return noise if kind == "epsilon" else latents


def sample(
    prior: Prior,
    noise: Tensor,
    told: Tensor,
    empty: Tensor,
    scheduler: Any,
    steps: int,
    guidance: float,
) -> Tensor:
    """Return images uint8 (B, C, H, W) of noise float32 (B, c, h, w), mean 0 and variance 1.

    ``told`` is the condition of each image, (B, L, D), ``empty`` that of the empty prompt,
    (1, L, D). ``guidance`` is w of classifier-free guidance (Ho and Salimans, arXiv 2207.12598):
    the answer is without + w (with - without); 1 is the condition alone.
    """
    with _refusing(f"the scheduler cannot take {steps} steps"):
        scheduler.set_timesteps(steps)
    # The loop is float32 whatever the UNet computes in; its state is the noise that is left.
    x = noise.to(prior.device) * scheduler.init_noise_sigma
    # An image kept to its range leaves other noise behind it. With the noise as the model said it,
    # guidance drives samples out of all that the model has seen.
    own = scheduler.config
    kept = isinstance(scheduler, kind_of("ddim")) and (own.clip_sample or own.thresholding)
    extra = {"use_clipped_model_output": True} if kept else {}
    guided = guidance != 1
    if guided:
        told = torch.cat([empty.expand(len(told), -1, -1), told])
    with torch.no_grad():
        for time in scheduler.timesteps:
            seen = torch.cat([x, x]) if guided else x
            with _refusing("the scheduler cannot begin a step"):
                seen = scheduler.scale_model_input(seen, time)
            out = prior.denoise(seen, time.to(prior.device).expand(len(seen)), told).float()
            if guided:
                without, with_it = out.chunk(2)
                out = without + guidance * (with_it - without)
            with _refusing("the scheduler cannot take a step"):
                x = scheduler.step(out, time, x, return_dict=False, **extra)[0]
        return prior.to_images(x)


def batch_of(height: int, width: int) -> int:
    """Return how many images of this size are made at a time."""
    return max(1, min(BATCH_LATENTS, BATCH_PIXELS // (height * width)))


def kind_of(name: str) -> Any:
    """Return the scheduler class of diffusers that a name of the format stands for."""
    require_libraries()
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

    return {"ddim": DDIMScheduler, "dpm_solver": DPMSolverMultistepScheduler}[name]
