"""Where models are found, and what is refused before anything of them is loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ddcodec.errors import SourceError, Unsupported, UsageError
from ddcodec.priors.folder import ModelFolder, find, how, native_side, wanted


@pytest.fixture
def copy(latent_model: ModelFolder, tmp_path: Path) -> Path:
    return Path(shutil.copytree(latent_model.path, tmp_path / "copy"))


def test_a_folder_is_described_by_its_weights(latent_model: ModelFolder) -> None:
    assert latent_model.weights == (
        "text_encoder/model.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    )
    external = latent_model.as_external()
    assert external["name"] == "model"
    assert external["revision"] == f"sha256 {latent_model.digest[:16]}"
    sizes = [(latent_model.path / name).stat().st_size for name in latent_model.weights]
    assert external["bytes"] == sum(sizes)
    latent_model.require(external)


def test_a_changed_byte_of_the_weights_is_another_model(
    latent_model: ModelFolder, copy: Path
) -> None:
    external = latent_model.as_external()
    find(copy).require(external)
    weights = copy / "vae" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(Unsupported, match="another model, vae/diffusion_pytorch_model"):
        find(copy).require(external)
    shutil.rmtree(copy / "vae")
    with pytest.raises(Unsupported, match="has no vae/"):
        find(copy).require(external)


def test_pickled_weights_are_never_read(copy: Path) -> None:
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(Unsupported, match=r"unet: has no safetensors; pickled weights \(\.bin\)"):
        find(copy)


def test_only_the_weights_that_are_loaded_count(copy: Path) -> None:
    before = find(copy).digest
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    shutil.copy(weights, weights.with_name("diffusion_pytorch_model.non_ema.safetensors"))
    shutil.copy(weights, weights.with_name("diffusion_pytorch_model.fp16.safetensors"))
    assert find(copy).digest == before
    for part in ("unet", "vae", "text_encoder"):
        for file in list((copy / part).glob("*model.safetensors")):
            file.rename(file.with_name(f"{file.stem}.fp16.safetensors"))
    assert find(copy).variant == "fp16"


def test_a_file_says_which_of_plain_and_fp16_weights_it_needs(copy: Path) -> None:
    plain = find(copy)
    for name in plain.weights:
        file = copy / name
        shutil.copy(file, file.with_name(f"{file.stem}.fp16.safetensors"))
    half = {
        name.replace(".safetensors", ".fp16.safetensors"): d for name, d in plain.digests.items()
    }
    found = find(copy, files=half)
    assert found.variant == "fp16"
    found.require(plain.as_external() | {"files": half})
    assert find(copy, files=plain.digests) == find(copy) == plain


@pytest.mark.parametrize("size", [[8, 8], "8", 0])
def test_a_model_without_one_native_side_is_unsupported(copy: Path, size: object) -> None:
    assert native_side(find(copy)) == 16
    config = copy / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"sample_size": size}))
    with pytest.raises(Unsupported, match="sample_size"):
        native_side(find(copy))


def test_what_is_no_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"has no unet/config\.json"):
        find(tmp_path)
    for text in ("no/such/folder", "nowhere", "a/b@../c", "../x"):
        with pytest.raises(UsageError, match="no such folder"):
            find(text)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def test_an_id_that_is_not_here_names_the_command_that_would_fetch_it(cache: Path) -> None:
    with pytest.raises(Unsupported, match="hf download runwayml/stable-diffusion-v1-5, or use"):
        find("runwayml/stable-diffusion-v1-5")
    with pytest.raises(Unsupported, match="hf download a/b --revision abc"):
        find("a/b@abc")
    # Even with consent nothing happens where the network is switched off.
    with pytest.raises((SourceError, Unsupported), match="`prior`=a/b"):
        find("a/b", download=True)


def test_an_id_in_the_cache_is_found_with_its_revision(
    cache: Path, latent_model: ModelFolder
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    place = cache / "models--some--model"
    shutil.copytree(latent_model.path, place / "snapshots" / commit)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(commit)
    found = find("some/model")
    assert (found.name, found.revision) == ("some/model", commit)
    assert found.digest == latent_model.digest
    assert find(f"some/model@{commit}").revision == commit


def test_a_command_is_made_of_nothing_that_a_file_could_slip_in() -> None:
    assert how("a/b", "main") == "fetch it with: hf download a/b --revision main"
    for name, revision in (("a/b; rm -rf ~", "main"), ("a/b", "$(x)"), ("prior", "main")):
        assert "hf download" not in how(name, revision)
    text = wanted({"name": "a/b", "revision": "main", "bytes": 2_132_000_000})
    assert "2,132,000,000 bytes" in text
