"""CLIP text embeddings: a real open_clip model, made here with random weights, read offline."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ddcodec.codecs.podd.clip_text import (
    CONFIG_FILE,
    REPOSITORY,
    WEIGHTS_FILE,
    is_local,
    text_embeddings,
)
from ddcodec.errors import MissingExtra, Unsupported

HERE = importlib.util.find_spec("open_clip") is not None
needs_open_clip = pytest.mark.skipif(not HERE, reason="open_clip is not installed")

# In a process of its own: torchvision's operators are declared once and for all in a process.
SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from ddcodec.nn.workarounds import make_torchvision_importable
make_torchvision_importable()
import torchvision, open_clip
make_torchvision_importable()
from safetensors.torch import save_file
from ddcodec.codecs.podd.clip_text import is_local, text_distances, text_embeddings
from ddcodec.errors import Unsupported

folder = Path(sys.argv[1])
config = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
(folder / "open_clip_config.json").write_text(
    json.dumps({"model_cfg": config, "preprocess_cfg": {}})
)
before = is_local()
torch.manual_seed(0)
model = open_clip.CLIP(**config).eval()
save_file(model.state_dict(), folder / "open_clip_model.safetensors")
names = ["airplane", "sweet_pepper", "maple_tree", "ship"] * 100
found = text_embeddings(names)
with torch.no_grad():
    tokens = open_clip.SimpleTokenizer()(["airplane", "sweet pepper", "maple tree", "ship"])
    expected = model.encode_text(tokens).numpy()
(folder / "open_clip_model.safetensors").write_bytes(b"not weights")
try:
    text_embeddings(names)
except Unsupported as error:
    broken = str(error)
print(json.dumps({
    "before": before,
    "after": is_local(),
    "dtype": str(found.dtype),
    "shape": found.shape,
    "repeats": bool(np.allclose(found[:4], found[-4:], atol=1e-6)),
    "gap": float(np.abs(found[:4] - expected).max()),
    "spread": float(expected.std()),
    "broken": broken,
}))
"""


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("DDCODEC_CLIP", str(tmp_path))
    return tmp_path


@needs_open_clip
def test_embeddings_come_from_a_local_model_without_network(tmp_path: Path) -> None:
    environment = {**os.environ, "DDCODEC_CLIP": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    result = json.loads(done.stdout)
    assert (result["before"], result["after"]) == (False, True)
    assert (result["dtype"], result["shape"]) == ("float32", [400, 16])
    assert result["repeats"]
    assert result["gap"] < 1e-5 < result["spread"]
    assert result["broken"].startswith(f"`order`=clip: {tmp_path}: open_clip cannot load")
    assert "\n" not in result["broken"]


@needs_open_clip
def test_missing_weights_are_named_and_nothing_is_downloaded(no_weights: Path) -> None:
    assert not is_local()
    with pytest.raises(Unsupported) as caught:
        text_embeddings(["cat"])
    message = str(caught.value)
    assert REPOSITORY in message
    assert "`order`=image" in message
    assert "\n" not in message


@needs_open_clip
def test_a_folder_without_weights_is_not_taken_for_a_model(no_weights: Path) -> None:
    # open_clip itself would go on with random weights.
    (no_weights / CONFIG_FILE).write_text("{}")
    assert not is_local()
    (no_weights / WEIGHTS_FILE).write_bytes(b"x")
    assert is_local()


@needs_open_clip
def test_weights_in_the_hugging_face_cache_are_found(tmp_path: Path) -> None:
    # The cache's place is read once, at import, so this needs a process of its own.
    code = "from ddcodec.codecs.podd.clip_text import is_local; print(is_local())"
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path)}
    environment.pop("DDCODEC_CLIP", None)
    answers = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        answers.append(done.stdout.strip())
        repository = tmp_path / ("models--" + REPOSITORY.replace("/", "--"))
        snapshot = repository / "snapshots" / "0123abc"
        snapshot.mkdir(parents=True, exist_ok=True)
        (snapshot / WEIGHTS_FILE).write_bytes(b"x")
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / "main").write_text("0123abc")
    assert answers == ["False", "True"]


def test_without_open_clip_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "open_clip" else find_spec(name)
    )
    assert not is_local()
    with pytest.raises(MissingExtra, match=r"open_clip.* pip install 'ddcodec\[clip\]'"):
        text_embeddings(["cat"])


def test_distances_of_embeddings_are_one_minus_the_cosine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ddcodec.codecs.podd import clip_text

    vectors = np.float32([[1, 0], [0, 2], [3, 3]])
    monkeypatch.setattr(clip_text, "text_embeddings", lambda names: vectors)
    half = 1 - 0.5**0.5
    expected = [[0, 1, half], [1, 0, half], [half, half, 0]]
    assert np.allclose(clip_text.text_distances(["a", "b", "c"]), expected)
