"""What the settings of a sampler may be, so that a file can state them and a reader check them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..format.values import is_integer, is_number

SCHEDULERS = ("ddim", "dpm_solver")
DTYPES = ("float32", "float16", "bfloat16")
PLACE = "*"  # in a prompt: where the token of a class stands
MAX_TIMES = 10_000  # steps of noise that a model was trained with
TIMES = 1000  # where a scheduler's configuration does not say


def _flag(value: Any) -> bool:
    return type(value) is bool


def _one_of(*words: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in words


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: is_integer(value) and low <= value <= high


def _within(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: is_number(value, low, high)


# Every setting that a scheduler may have: none of them makes a library take much time or memory.
SETTINGS: dict[str, Callable[[Any], bool]] = {
    "algorithm_type": _one_of("dpmsolver", "dpmsolver++"),
    "beta_end": _within(0, 1),
    "beta_schedule": _one_of("linear", "scaled_linear", "squaredcos_cap_v2"),
    "beta_start": _within(0, 1),
    "clip_sample": _flag,
    "clip_sample_range": _within(0, 1000),
    "dynamic_thresholding_ratio": _within(0, 1),
    "euler_at_final": _flag,
    "final_sigmas_type": _one_of("zero", "sigma_min"),
    "flow_shift": _within(0, 1000),
    "lambda_min_clipped": _within(-1000, 0),
    "lower_order_final": _flag,
    "num_train_timesteps": _whole(1, MAX_TIMES),
    "prediction_type": _one_of("epsilon", "sample", "v_prediction"),
    "rescale_betas_zero_snr": _flag,
    "sample_max_value": _within(0, 1000),
    "set_alpha_to_one": _flag,
    "solver_order": _whole(1, 3),
    "solver_type": _one_of("midpoint", "heun"),
    "steps_offset": _whole(0, 100),
    "thresholding": _flag,
    "time_shift_type": _one_of("exponential"),
    "timestep_spacing": _one_of("leading", "linspace", "trailing"),
    "use_beta_sigmas": _flag,
    "use_dynamic_shifting": _flag,
    "use_exponential_sigmas": _flag,
    "use_flow_sigmas": _flag,
    "use_karras_sigmas": _flag,
    "use_lu_lambdas": _flag,
}
