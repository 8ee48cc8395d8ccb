"""Training a prior: repeatable, resumable, an ordinary folder of diffusers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ddcodec.errors import CheckpointMismatch, MissingExtra, OutputError, SourceError, UsageError
from ddcodec.priors.folder import ModelFolder, find
from ddcodec.priors.model import load
from ddcodec.priors.train import PriorRecipe, train, write
from ddcodec.sources import Source
from ddcodec.sources.split import Split
from tests.helpers.reporters import StopAfter
from tests.helpers.small_models import small_prior

RECIPE = PriorRecipe(steps=30, batch=4, width=8)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    digits: Source, pixel_model: ModelFolder, tmp_path: Path
) -> None:
    state = torch.get_rng_state()
    again = find(small_prior(digits, tmp_path / "again"))
    assert again.digests == pixel_model.digests
    assert find(small_prior(digits, tmp_path / "other", seed=1)).digest != again.digest
    assert torch.equal(torch.get_rng_state(), state)


def test_an_interruption_costs_no_step_and_no_bit(digits: Source, tmp_path: Path) -> None:
    whole = train(digits, tmp_path / "a", recipe=RECIPE)
    # Something is learned, too: the first steps of the same run are worse.
    assert whole.loss < train(digits, tmp_path / "c", recipe=replace(RECIPE, steps=10)).loss
    with pytest.raises(KeyboardInterrupt):
        train(digits, tmp_path / "b", recipe=RECIPE, reporter=StopAfter(1))
    assert not (tmp_path / "b").exists()
    with pytest.raises(CheckpointMismatch):
        train(digits, tmp_path / "b", recipe=RECIPE, seed=1, resume=True)
    resumed = train(digits, tmp_path / "b", recipe=RECIPE, resume=True)
    assert (resumed.digest, resumed.steps) == (whole.digest, 30)
    assert not (tmp_path / "b.checkpoint").exists()
    with pytest.raises(OutputError, match="exists"):
        train(digits, tmp_path / "b", recipe=RECIPE)


def test_diffusers_opens_the_folder_as_a_pipeline(pixel_model: ModelFolder) -> None:
    from diffusers import StableDiffusionPipeline

    from ddcodec.priors.model import quiet

    with quiet():
        pipeline = StableDiffusionPipeline.from_pretrained(
            pixel_model.path, vae=None, use_safetensors=True
        )
    assert pipeline.vae is None
    assert pipeline.unet.config.in_channels == 1


def test_a_prior_on_latents_has_a_vae_that_scales_to_one(digits: Source, tmp_path: Path) -> None:
    recipe = PriorRecipe(steps=4, batch=4, width=8, resolution=32, vae=True)
    train(digits, tmp_path / "latent", recipe=recipe)
    prior = load(find(tmp_path / "latent"), "cpu")
    assert (prior.native, prior.reduction, prior.channels) == (32, 4, 1)
    images = torch.from_numpy(digits.train.images[:64]).permute(0, 3, 1, 2).float() / 255
    large = torch.nn.functional.interpolate(images, (32, 32))
    latents = prior.to_latents(large)
    assert latents.shape == (64, 4, 8, 8)
    assert 0.3 < float(latents.std()) < 3
    assert prior.to_images(latents).shape == (64, 1, 32, 32)


def test_what_cannot_work_is_said_before_anything_is_removed(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved_at = tmp_path / "x.checkpoint"
    saved_at.mkdir()
    (saved_at / "unet").write_bytes(b"an earlier run")
    split = digits.train
    kept = split.labels != 3
    fewer = Split(split.images[kept], split.labels[kept])
    with pytest.raises(SourceError, match="class '3' has no training image"):
        train(Source("few", digits.classes, {"train": lambda: fewer}), tmp_path / "x")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="diffusers"):
        train(digits, tmp_path / "x", recipe=RECIPE)
    assert (saved_at / "unet").is_file()


def test_what_is_no_checkpoint_of_a_prior_stays(digits: Source, tmp_path: Path) -> None:
    folder, file = tmp_path / "a.checkpoint", tmp_path / "b.checkpoint"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    file.write_text("of an encode")
    for name in ("a", "b"):
        with pytest.raises(OutputError, match="is no checkpoint of a prior"):
            train(digits, tmp_path / name, recipe=RECIPE)
    assert (folder / "thesis.txt").read_text() == "mine"
    assert file.read_text() == "of an encode"


def test_a_folder_that_cannot_be_replaced_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, rename = tmp_path / "x", Path.rename
    out.mkdir()
    (out / "old.txt").write_text("old")

    def fail(path: Path, to: Path) -> Path:
        if path.name == "new":
            raise OSError(28, "No space left on device")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OutputError, match="No space left"):
        write(out, {}, {}, overwrite=True)
    assert (out / "old.txt").read_text() == "old"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"resolution": 12}, "`resolution`"),
        ({"width": 12}, "`width`"),
        ({"steps": 0}, "`steps`"),
        ({"vae": True}, "`vae`"),
    ],
)
def test_sizes_that_cannot_work_are_named(
    digits: Source, tmp_path: Path, wrong: dict[str, int], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        train(digits, tmp_path / "x", recipe=PriorRecipe(**wrong))  # type: ignore[arg-type]
