"""What a D3M file says and holds: how its images are made, seeds, tokens, labels."""

from __future__ import annotations

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
from ..base import Request
from ..shared.groups import Group
from ..shared.statement import command_of, image_of, provenance_of, source_of, student_recipe
from .params import D3MParams

# What the recorded command says, in this order.
RECORDED = (
    "ipc observer prior collage take tokens token_bits prompt variations select candidates steps "
    "rate resolution scheduler sampling_steps guidance dtype labels temperature seed size "
    "test_share"
)


def pack(
    request: Request, arrays: Group, observer: Trained, prior: Prior, params: D3MParams
) -> Manifest:
    """Write the file from its tensors and return its manifest."""
    source = request.source
    pool, classes = source.by_class(), len(source.classes)
    recipe = student_recipe(pool.shape, params.images * classes, params.take**2, classes)
    if not params.one_hot:
        # Stored soft labels belong to images as they are; with one-hot labels images are changed
        # (paper, section 4.2).
        recipe["augment"] = "none"
    common = {"seed": params.seed, **source.asked}
    command = command_of(source.name, "d3m", RECORDED, params.options, **common)
    manifest = Manifest(
        codec={"name": "d3m", "version": 1, "params": codec_params(params, prior)},
        classes=source.classes,
        image=image_of(pool.shape, observer.description.image["preprocessing"]),
        tensors={},
        labels={"kind": "class"} if params.one_hot else params.labels.as_json(),
        recipe=recipe,
        source=source_of(source.name, pool.total, pool.digest(), **source.asked),
        provenance=provenance_of(command, params.seed, observer),
        external=(prior.folder.as_external(),),
    )
    return write(request.out, manifest, arrays, storage_of(arrays, params.options.token_bits))


def codec_params(params: D3MParams, prior: Prior) -> dict[str, Any]:
    """Return ``codec.params`` of the manifest: all that making the images takes.

    Raises UsageError for more steps of sampling than the model has.
    """
    options = params.options
    config = settings_for(options.scheduler, prior)
    times = config.get("num_train_timesteps", TIMES)
    if options.sampling_steps > times:
        raise UsageError(
            f"`sampling_steps`={options.sampling_steps}: {prior.folder.name} has {times} steps"
        )
    return {
        "prompt": params.prompt,
        "collage": params.collage,
        "take": params.take,
        "images": params.images,
        "key": params.seed,
        "size": list(params.size),
        "scheduler": {"name": options.scheduler, "config": config},
        "steps": options.sampling_steps,
        "guidance": options.guidance,
        "dtype": options.dtype,
    }


def seeds_of(params: D3MParams, classes: int) -> NDArray[Any]:
    """Return seeds (variations, classes, collages): counted on over the variations of a class."""
    variations = params.options.variations
    count = variations * params.collages
    dtype = np.uint8 if count <= 256 else np.int32
    rows = np.arange(count, dtype=dtype).reshape(variations, 1, params.collages)
    return np.repeat(rows, classes, 1)


def stored_tokens(tokens: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """Return tokens (classes, d) after the rounding of the file."""
    if bits == 16:
        return tokens.astype(np.float16).astype(np.float32)
    return dequantise(*quantise(tokens, bits))


def storage_of(arrays: Group, token_bits: int) -> dict[str, Storage]:
    """Return how each tensor is stored: labels by the coder that takes fewer bytes."""
    storage = {}
    for name, array in arrays.items():
        storage[name] = Storage(bits=8 if name == "tokens" and token_bits == 8 else None)
        if name.startswith("label") and array.size <= CODED:
            choices = (Storage(coder="zstd"), Storage(coder="context"))
            sizes = [sum(p.nbytes for p in encode_tensor(array, how)[1]) for how in choices]
            storage[name] = choices[int(sizes[1] < sizes[0])]
    return storage
