"""What a caller may have set before a call, and all that has to be as it was after it."""

from __future__ import annotations

import locale
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

from ddcodec.runtime.world import SWITCHES

World = Callable[[], AbstractContextManager[Any]]


@contextmanager
def changed(get: Callable[[], Any], put: Callable[[Any], object], value: Any) -> Iterator[None]:
    before = get()
    put(value)
    try:
        yield
    finally:
        put(before)


def with_dtype(dtype: torch.dtype) -> World:
    return lambda: changed(torch.get_default_dtype, torch.set_default_dtype, dtype)


@contextmanager
def default_device() -> Iterator[None]:
    torch.set_default_device("meta")  # it stands for a GPU
    try:
        yield
    finally:
        torch.set_default_device(None)


def switch(place: Any, name: str, value: Any) -> AbstractContextManager[None]:
    return changed(lambda: getattr(place, name), lambda to: setattr(place, name, to), value)


@contextmanager
def switches() -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(switch(torch.backends.mkldnn, "enabled", False))
        stack.enter_context(switch(torch.backends.cudnn, "benchmark", True))
        stack.enter_context(
            changed(
                torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "medium"
            )
        )
        stack.enter_context(switch(torch.backends.mkldnn.conv, "fp32_precision", "bf16"))
        yield


@contextmanager
def flushed() -> Iterator[None]:
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


WORLDS: dict[str, World] = {
    "default device": default_device,
    "device block": lambda: torch.device("meta"),
    "float64": with_dtype(torch.float64),
    "bfloat16": with_dtype(torch.bfloat16),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "deterministic": lambda: changed(
        torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, True
    ),
    "anomaly": lambda: torch.autograd.set_detect_anomaly(True, check_nan=True),
    "switches": switches,
    "denormal": flushed,
    "numpy raises": lambda: np.errstate(all="raise"),
}


@contextmanager
def everything() -> Iterator[None]:
    with ExitStack() as stack:
        for world in WORLDS.values():
            stack.enter_context(world())
        yield


def state() -> dict[str, Any]:
    """Return what a call must leave as it was; of what has no ``==`` a text."""
    probe = torch.empty(0)
    return {
        "tensor": (probe.dtype, str(probe.device), probe.is_inference(), torch.is_grad_enabled()),
        "autocast": torch.is_autocast_enabled("cpu"),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "anomaly": (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        "switches": [getattr(place, name) for place, name, _ in SWITCHES],
        "precision": torch.get_float32_matmul_precision(),
        "threads": torch.get_num_threads(),
        "torch's numbers": torch.get_rng_state().tolist() if probe.device.type == "cpu" else None,
        "NumPy's numbers": str(np.random.get_state()),  # noqa: NPY002 - the caller's generator
        "NumPy's errors": np.geterr(),
        "Python's numbers": random.getstate(),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "folder": os.getcwd(),  # noqa: PTH109
        "environment": dict(os.environ),
        "locale": locale.setlocale(locale.LC_ALL),
    }
