"""From a request to an encode of squeezed images: the observer, complete settings, processes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...distill.compute import has_bfloat16
from ...errors import UsageError
from ...observers.file import load as load_observer
from ...ranks import joined
from .encode import Run, command_line, encode
from .params import LICOptions, make_params
from .teacher import require_embeddable

if TYPE_CHECKING:
    from ...format import Manifest
    from ...sources.base import Source
    from ..request import Request


def start(data: Source, options: LICOptions | None, request: Request) -> Manifest:
    """Encode ``data`` as asked; raise UsageError, before any work, for what cannot work."""
    if options is None:
        raise UsageError(
            "the codec lic needs --observer F, made by 'ddcodec observer train' on this source"
        )
    observer = load_observer(options.observer)
    pool = data.by_class()
    observer.require_fit(data.classes, pool.shape)
    precision = options.precision
    if precision == "auto":
        precision = "bfloat16" if has_bfloat16(request.device) else "float32"
    params = make_params(
        options,
        precision=precision,
        **request.settings(pool.shape, len(data.classes)),
    )
    if params.labels.kind == "teacher":
        regions = params.mosaic(pool.shape[1], pool.shape[2]).regions
        require_embeddable(observer, params.ipc * len(data.classes) * regions)
    command = command_line(data.name, Path(options.observer).name, params, request.size)
    with joined() as ranks:
        run = Run(request.device, request.resume, request.reporter, ranks)
        return encode(data, pool, observer, params, run, request.target, command)
