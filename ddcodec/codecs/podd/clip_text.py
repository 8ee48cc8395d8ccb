"""CLIP text embeddings of class names through open_clip, from weights that are already here.

Weights are looked for in the folder that DDCODEC_CLIP names (open_clip_config.json beside
open_clip_model.safetensors, any model), then in the Hugging Face cache, where they are those of
the model that the PoDD paper used. Nothing is downloaded unless the caller allows it.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import MissingExtra, Unsupported

MODEL = "ViT-B-32-quickgelu"  # the text tower that the PoDD paper's code uses
REPOSITORY = "timm/vit_base_patch32_clip_224.openai"  # where open_clip finds MODEL's weights
CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"
BATCH = 256  # names in one forward pass


def is_local() -> bool:
    """Say whether open_clip is installed and weights are at hand; imports neither it nor torch."""
    return importlib.util.find_spec("open_clip") is not None and _find() is not None


def text_distances(names: Sequence[str]) -> NDArray[np.float64]:
    """Return 1 - cosine between the embeddings of the class names, float64 (n, n)."""
    return cosine_distances(text_embeddings(names))


def cosine_distances(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return 1 - cosine between the rows of (n, d): float64 (n, n), symmetric, diagonal 0."""
    v = vectors.astype(np.float64)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    cosine = v @ v.T
    gap = np.clip(1 - (cosine + cosine.T) / 2, 0, 2)
    np.fill_diagonal(gap, 0)
    return gap


def text_embeddings(names: Sequence[str]) -> NDArray[np.float32]:
    """Return CLIP text embeddings, float32 (n, d), of the bare names with spaces for '_'.

    Raises MissingExtra without open_clip, Unsupported where no weights can be read.
    """
    if importlib.util.find_spec("open_clip") is None:
        raise MissingExtra("open_clip, which `order`=clip needs,", "clip")
    found = _find()
    if found is None:
        raise Unsupported(
            f"`order`=clip: no weights of CLIP {MODEL} here; run: hf download {REPOSITORY}, or "
            f"set DDCODEC_CLIP to a folder with {CONFIG_FILE} and {WEIGHTS_FILE}, or use "
            "`order`=image"
        )
    model, tokenizer = _load(found)
    import torch

    texts = [name.replace("_", " ") for name in names]
    with torch.inference_mode():
        parts = [
            model.encode_text(tokenizer(texts[i : i + BATCH])).float()
            for i in range(0, len(texts), BATCH)
        ]
        embeddings: NDArray[np.float32] = torch.cat(parts).numpy()
    return embeddings


def _load(found: Path) -> tuple[Any, Any]:
    # A folder holds its own model; a file belongs to MODEL.
    from ...nn.workarounds import make_torchvision_importable

    name, pretrained = (f"local-dir:{found}", None) if found.is_dir() else (MODEL, str(found))
    try:
        make_torchvision_importable()
        import open_clip

        model, _, _ = open_clip.create_model_and_transforms(name, pretrained=pretrained)
        return model.eval(), open_clip.get_tokenizer(name)
    except Exception as error:  # open_clip raises whatever its parts raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise Unsupported(
            f"`order`=clip: {found}: open_clip cannot load a CLIP model: {reason}; fetch the "
            "weights again, or use `order`=image"
        ) from None


def _find() -> Path | None:
    folder = os.environ.get("DDCODEC_CLIP")
    if folder:
        path = Path(folder)
        files = (path / CONFIG_FILE, path / WEIGHTS_FILE)
        return path if all(file.is_file() for file in files) else None
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(REPOSITORY, WEIGHTS_FILE)
    return Path(cached) if isinstance(cached, str) else None
