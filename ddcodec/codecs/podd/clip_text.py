"""CLIP text embeddings of class names through open_clip, from weights that are already here.

Nothing is downloaded. Weights are looked for in the folder that DDCODEC_CLIP names (as open_clip
saves it: open_clip_config.json and weights), then in the Hugging Face cache.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import MissingExtra, Unsupported
from ...torchvision_ops import make_importable

MODEL = "ViT-B-32-quickgelu"  # the text tower that the PoDD paper's code uses
WEIGHTS = "timm/vit_base_patch32_clip_224.openai"
FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def is_local() -> bool:
    """Say whether open_clip is installed and weights are at hand, without importing it."""
    return importlib.util.find_spec("open_clip") is not None and _find() is not None


def text_distances(names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return 1 - cosine between the embeddings of the class names, float64 (n, n)."""
    from .order import cosine_distances

    return cosine_distances(text_embeddings(names))


def text_embeddings(names: tuple[str, ...]) -> NDArray[np.float32]:
    """Return CLIP text embeddings, float32 (n, d), of the bare names with spaces for '_'.

    Raises MissingExtra without open_clip, Unsupported where no weights are at hand.
    """
    if importlib.util.find_spec("open_clip") is None:
        raise MissingExtra("open_clip, which --order clip needs,", "clip")
    found = _find()
    if found is None:
        raise Unsupported(
            f"--order clip: no CLIP weights here; run: hf download {WEIGHTS}, or set DDCODEC_CLIP "
            "to a folder with open_clip_config.json and weights, or use --order image"
        )
    make_importable()
    import open_clip

    if found.is_dir():
        model: Any = open_clip.create_model(f"local-dir:{found}")
        tokenizer: Any = open_clip.get_tokenizer(f"local-dir:{found}")
    else:
        model = open_clip.create_model(MODEL, pretrained=str(found))
        tokenizer = open_clip.get_tokenizer(MODEL)
    tokens = tokenizer([name.replace("_", " ") for name in names])
    with torch.no_grad():
        embeddings: torch.Tensor = model.eval().encode_text(tokens)
    return embeddings.float().numpy()


def _find() -> Path | None:
    folder = os.environ.get("DDCODEC_CLIP")
    if folder:
        path = Path(folder)
        return path if (path / "open_clip_config.json").is_file() else None
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    for name in FILES:
        cached = try_to_load_from_cache(WEIGHTS, name)
        if isinstance(cached, str):
            return Path(cached)
    return None
