"""From a request to an encode of prompts: observer, diffusion model, settings, processes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...observers.file import load as load_observer
from ...priors.folder import find, native_side
from ...priors.model import load as load_prior
from ...ranks import joined
from ..lic.encode import Run
from .encode import command_line, encode
from .params import D3MOptions, make_params

if TYPE_CHECKING:
    from ...format import Manifest
    from ...sources.base import Source
    from ..request import Request


def start(data: Source, options: D3MOptions | None, request: Request) -> Manifest:
    """Encode ``data`` as asked; raise UsageError, before any work, for what cannot work."""
    if options is None:
        raise UsageError(
            "the codec d3m needs --observer F, made by 'ddcodec observer train', and --prior DIR, "
            "a diffusion model, for instance of 'ddcodec prior train'"
        )
    observer = load_observer(options.observer)
    pool = data.by_class()
    observer.require_fit(data.classes, pool.shape)
    folder = find(options.prior, request.download)
    latent = folder.has("vae")
    dtype = "float16" if latent and request.device.type == "cuda" else "float32"
    params = make_params(
        options,
        native=native_side(folder),
        latent=latent,
        dtype=dtype,
        **request.settings(pool.shape, len(data.classes)),
    )
    # Each process takes it to its own device, once it knows which.
    prior = load_prior(folder, "cpu", params.dtype)
    if prior.channels < pool.shape[0]:
        raise UsageError(f"{folder.name} makes grey images, the data set has colours; use another")
    prior.latent_shape(*params.size)
    command = command_line(
        data.name, Path(options.observer).name, folder.name, params, request.size
    )
    with joined() as ranks:
        run = Run(request.device, request.resume, request.reporter, ranks)
        return encode(data, pool, observer, prior, params, run, request.target, command)
