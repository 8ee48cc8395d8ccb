"""What a D3M file says and holds: how its images are made, seeds, tokens, labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ...format import Manifest, Storage, dequantise, quantise
from ...format.container import write
from ...format.payload import CODED, encode_tensor
from ...observers.file import Trained
from ...priors.model import Prior
from ...priors.sampling import settings_for
from ...priors.settings import TIMES
from ...sources.base import Source
from ..options import AnyPath
from ..shared.groups import Group
from ..shared.statement import command_of, image_of, provenance_of, source_of, student_recipe
from .options import D3M
from .params import D3MParams, usual_prompt


def pack(
    out: Path,
    arrays: Group,
    source: Source,
    observer: Trained,
    prior: Prior,
    params: D3MParams,
    command: str,
) -> Manifest:
    """Write the file from its tensors and return its manifest."""
    pool, classes = source.by_class(), len(source.classes)
    manifest = Manifest(
        codec={"name": "d3m", "version": 1, "params": codec_params(params, prior)},
        classes=source.classes,
        image=image_of(pool.shape, observer.description.image["preprocessing"]),
        tensors={},
        labels={"kind": "class"} if params.one_hot else params.labels.as_json(),
        recipe=recipe_of(pool.shape, params, classes),
        source=source_of(source.name, pool.total, pool.digest()),
        provenance=provenance_of(command, params.seed, observer),
        external=(prior.folder.as_external(),),
    )
    return write(out, manifest, arrays, storage_of(arrays, params))


def codec_params(params: D3MParams, prior: Prior) -> dict[str, Any]:
    """Return ``codec.params`` of the manifest: all that making the images takes.

    Raises UsageError for more steps of sampling than the model has.
    """
    config = settings_for(params.scheduler, prior)
    times = config.get("num_train_timesteps", TIMES)
    if params.sampling_steps > times:
        raise UsageError(
            f"`sampling_steps`={params.sampling_steps}: {prior.folder.name} has {times} steps"
        )
    return {
        "prompt": params.prompt,
        "collage": params.collage,
        "take": params.take,
        "images": params.images,
        "key": params.seed,
        "size": list(params.size),
        "scheduler": {"name": params.scheduler, "config": config},
        "steps": params.sampling_steps,
        "guidance": params.guidance,
        "dtype": params.dtype,
    }


def recipe_of(shape: tuple[int, int, int], params: D3MParams, classes: int) -> dict[str, Any]:
    """Return how to train on the generated images (C, H, W) of one variation.

    Stored soft labels belong to images as they are, so those are not changed; with one-hot labels
    they are (paper, section 4.2).
    """
    recipe = student_recipe(shape, params.images * classes, params.patches, classes)
    return recipe if params.one_hot else recipe | {"augment": "none"}


def command_line(
    source: str, observer: AnyPath, prior: str, params: D3MParams, size: int | None
) -> str:
    """Return the command that makes the same file again, where all it needs is at hand."""
    usual = usual_prompt(params.learned, params.collage)
    values = {
        "ipc": params.images,
        "observer": Path(observer),
        "prior": prior,
        "collage": params.collage,
        "take": params.take,
        "tokens": "learned" if params.learned else "names",
        "token_bits": params.token_bits,
        "prompt": None if params.prompt == usual else params.prompt,
        "variations": params.variations,
        "select": params.selection,
        "candidates": params.candidates,
        "steps": params.steps if params.learned else None,
        "rate": params.rate,
        "resolution": max(params.size),
        "scheduler": params.scheduler,
        "sampling_steps": params.sampling_steps,
        "guidance": params.guidance,
        "dtype": params.dtype,
        "labels": params.labels.as_option(),
        "temperature": params.labels.temperature,
        "seed": params.seed,
        "size": size,
    }
    return command_of(source, "d3m", values, D3M)


def seeds_of(params: D3MParams, classes: int) -> NDArray[Any]:
    """Return seeds (variations, classes, collages): counted on over the variations of a class."""
    count = params.variations * params.collages
    dtype = np.uint8 if count <= 256 else np.int32
    rows = np.arange(count, dtype=dtype).reshape(params.variations, 1, params.collages)
    return np.repeat(rows, classes, 1)


def stored_tokens(tokens: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """Return tokens (classes, d) after the rounding of the file."""
    if bits == 16:
        return tokens.astype(np.float16).astype(np.float32)
    return dequantise(*quantise(tokens, bits))


def storage_of(arrays: Group, params: D3MParams) -> dict[str, Storage]:
    """Return how each tensor is stored: labels by the coder that takes fewer bytes."""
    storage = {}
    for name, array in arrays.items():
        storage[name] = Storage(bits=8 if name == "tokens" and params.token_bits == 8 else None)
        if name.startswith("label") and array.size <= CODED:
            choices = (Storage(coder="zstd"), Storage(coder="context"))
            sizes = [sum(p.nbytes for p in encode_tensor(array, how)[1]) for how in choices]
            storage[name] = choices[int(sizes[1] < sizes[0])]
    return storage
