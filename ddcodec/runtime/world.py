"""A neutral world: what torch and NumPy are set to by the caller neither matters nor changes.

A default device or dtype, ``no_grad``, ``inference_mode``, ``autocast`` and switches of the whole
process change what an operation gives. Whatever computes for a caller does so inside of
``neutral``, entered once at the public call; the settings come back with its end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch

Undo = Callable[[], object]
BACKENDS: Any = torch.backends
# Switches of the process: where each is, its name, its value here.
SWITCHES: tuple[tuple[Any, str, Any], ...] = (
    (BACKENDS.cudnn, "enabled", True),
    (BACKENDS.cudnn, "benchmark", False),  # it chooses by a race of kernels
    (BACKENDS.cudnn, "deterministic", True),
    (BACKENDS.mkldnn, "enabled", True),
    (BACKENDS.mkldnn, "deterministic", False),
    (BACKENDS.cuda.matmul, "allow_bf16_reduced_precision_reduction", True),
    # What is general stands first: the particular ones show it as theirs while it is set.
    (BACKENDS, "fp32_precision", "none"),
    (BACKENDS.cudnn, "fp32_precision", "none"),
    (BACKENDS.cuda.matmul, "fp32_precision", "none"),
    (BACKENDS.cudnn.conv, "fp32_precision", "tf32"),
    (BACKENDS.cudnn.rnn, "fp32_precision", "tf32"),
    (BACKENDS.mkldnn.matmul, "fp32_precision", "none"),
    (BACKENDS.mkldnn.conv, "fp32_precision", "none"),
    (BACKENDS.mkldnn.rnn, "fp32_precision", "none"),
)
AUTOCAST = ("cpu", "cuda")
TINY = 1e-40  # no normal float32

_lock = threading.Lock()
_inside = 0  # calls, in all threads
_undo: list[Undo] = []  # what the last one to leave does


@contextmanager
def neutral() -> Iterator[None]:
    """Run the body as in a fresh process; the caller's settings come back, whatever happens.

    Tensors are made on the CPU and in float32 where nothing else is said, gradients are recorded,
    no type is changed, kernels are exact and repeatable. As a decorator it is for functions, not
    for generators, whose caller would run inside.
    """
    with ExitStack() as stack:
        stack.enter_context(_process())
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in AUTOCAST:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.empty(0).device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        stack.enter_context(_denormal_numbers())
        yield


def neutral_tensors() -> AbstractContextManager[None]:
    """Return ``neutral`` where the world would change a copy or a look-up, else next to nothing.

    For what a training loop calls at every step: the check takes a microsecond.
    """
    return _NOTHING if _makes_ordinary_tensors() else neutral()


_NOTHING = nullcontext()


def _makes_ordinary_tensors() -> bool:
    return (
        torch.get_default_dtype() is torch.float32
        and not torch.is_inference_mode_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.is_autocast_enabled("cuda")
        and torch.empty(0).is_cpu
    )


@contextmanager
def _process() -> Iterator[None]:
    """Hold what belongs to all threads: the first call sets it, the last one undoes that."""
    global _inside
    with _lock:
        if _inside == 0:
            _set_process(_undo)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            while _inside == 0 and _undo:
                _undo.pop()()


def _set_process(undo: list[Undo]) -> None:
    if (dtype := torch.get_default_dtype()) != torch.float32:
        undo.append(partial(torch.set_default_dtype, dtype))
        torch.set_default_dtype(torch.float32)
    if torch.are_deterministic_algorithms_enabled():
        warn = torch.is_deterministic_algorithms_warn_only_enabled()
        undo.append(partial(torch.use_deterministic_algorithms, True, warn_only=warn))
        torch.use_deterministic_algorithms(False)
    if torch.is_anomaly_enabled():
        check = torch.is_anomaly_check_nan_enabled()
        undo.append(partial(torch.autograd.set_detect_anomaly, True, check))
        torch.autograd.set_detect_anomaly(False)
    for place, name, value in SWITCHES:
        before = getattr(place, name)
        if before != value:
            undo.append(partial(setattr, place, name, before))
            setattr(place, name, value)


@contextmanager
def _denormal_numbers() -> Iterator[None]:
    """Keep the smallest numbers in this thread, where the caller has them flushed to zero."""
    flushed = not float(torch.tensor(TINY, dtype=torch.float32) * 1)
    if flushed:
        torch.set_flush_denormal(False)
    try:
        yield
    finally:
        if flushed:
            torch.set_flush_denormal(True)
