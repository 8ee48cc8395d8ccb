"""Prompts in, images out: on pixels and on latents, with both schedulers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ddcodec.codecs.d3m.noise import normal
from ddcodec.errors import Unsupported
from ddcodec.priors.model import Prior
from ddcodec.priors.sampling import make, noise_scheduler, sample, settings_for, target


def images(prior: Prior, name: str = "ddim", guidance: float = 2.0, steps: int = 4) -> torch.Tensor:
    side = prior.native
    noise = np.stack([normal(prior.latent_shape(side, side), 5, i) for i in range(3)])
    with torch.no_grad():
        told = prior.condition([prior.prompt(f"a photo of {i}") for i in range(3)])
        empty = prior.condition([prior.prompt("")])
    scheduler = make(name, settings_for(name, prior))
    return sample(prior, torch.from_numpy(noise), told, empty, scheduler, steps, guidance)


@pytest.mark.parametrize("name", ["ddim", "dpm_solver"])
@pytest.mark.parametrize("kind", ["pixel", "latent"])
def test_images_are_bytes_and_repeat(request: pytest.FixtureRequest, kind: str, name: str) -> None:
    prior = request.getfixturevalue(kind)
    first = images(prior, name)
    channels, side = prior.channels, prior.native
    assert first.shape == (3, channels, side, side)
    assert first.dtype == torch.uint8
    assert torch.equal(first, images(prior, name))
    assert not torch.equal(first, images(prior, name, guidance=6.0))
    assert not torch.equal(first[0], first[1])


def test_threads_and_batches_change_no_more_than_rounding(pixel: Prior) -> None:
    one = images(pixel).int()
    torch.set_num_threads(2)
    try:
        two = images(pixel).int()
    finally:
        torch.set_num_threads(1)
    assert int((one - two).abs().max()) <= 1


def test_the_sampler_takes_the_noise_of_the_model_and_its_own_steps(latent: Prior) -> None:
    settings = settings_for("ddim", latent)
    assert settings["beta_schedule"] == "scaled_linear"
    assert settings["steps_offset"] == 1
    assert settings["clip_sample"] is False
    assert "trained_betas" not in settings
    again = make("ddim", settings)
    assert torch.equal(again.alphas_cumprod, noise_scheduler(latent).alphas_cumprod)


class Knowing:
    """A model that knows the one image of each prompt: its answer is the exact velocity."""

    device = torch.device("cpu")

    def __init__(self, scheduler: Any) -> None:
        self.alphas = scheduler.alphas_cumprod
        self.noise: list[float] = []

    def denoise(self, x: torch.Tensor, times: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        image = told.view(x.shape)
        alpha = self.alphas[times[0]]
        noise = (x - alpha.sqrt() * image) / (1 - alpha).sqrt()
        self.noise.append(float(noise[-1].std()))
        return alpha.sqrt() * noise - (1 - alpha).sqrt() * image

    def to_images(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_guidance_leaves_samples_among_what_the_model_has_seen(pixel: Prior) -> None:
    scheduler = make("ddim", settings_for("ddim", pixel) | {"prediction_type": "v_prediction"})
    g = torch.Generator().manual_seed(0)
    image = torch.rand((1, 1, 16, 16), generator=g).sub(0.5).sign()  # what guidance 4 limits to
    model = Knowing(scheduler)
    noise = torch.randn((1, 1, 16, 16), generator=g)
    made = sample(model, noise, image.flatten(2), -image.flatten(2), scheduler, 25, 4.0)  # type: ignore[arg-type]
    assert torch.allclose(made, image, atol=0.05)
    # Noise has variance 1 in training; what it had here, the image being known, at each step.
    assert all(0.8 < spread < 1.2 for spread in model.noise)


@pytest.mark.parametrize("name", ["ddim", "dpm_solver"])
def test_pixels_are_kept_to_their_range(pixel: Prior, name: str) -> None:
    scheduler = make(name, settings_for(name, pixel) | {"prediction_type": "v_prediction"})
    model = Knowing(scheduler)
    image = torch.ones(1, 1, 8, 8)
    noise = torch.randn((1, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    made = sample(model, noise, image.flatten(2), -image.flatten(2), scheduler, 10, 6.0)  # type: ignore[arg-type]
    assert float(made.abs().max()) < 1.05


def test_settings_of_a_file_that_cannot_be_met_are_named(pixel: Prior) -> None:
    with pytest.raises(Unsupported, match="'warp_factor'"):
        make("ddim", {"warp_factor": 9})
    with pytest.raises(Unsupported, match="noise at every step"):
        make("dpm_solver", {"algorithm_type": "sde-dpmsolver++"})
    with pytest.raises(Unsupported, match="cannot be made"):
        make("ddim", {"beta_schedule": "zigzag"})


def test_whatever_a_scheduler_raises_is_unsupported(
    pixel: Prior, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unsupported, match="cannot be made"):
        make("ddim", {"num_train_timesteps": -5})  # torch raises a RuntimeError
    with pytest.raises(Unsupported, match="cannot be made"):
        make("dpm_solver", {"algorithm_type": "dpmsolver"})
    past = settings_for("ddim", pixel) | {"steps_offset": 100, "timestep_spacing": "leading"}
    noise, told = torch.zeros(1, *pixel.latent_shape(8, 8)), pixel.condition([pixel.prompt("")])
    with pytest.raises(Unsupported, match="cannot take a step"):  # an IndexError
        sample(pixel, noise, told, told, make("ddim", past), 1000, 1.0)
    monkeypatch.setitem(pixel.schedule, "beta_schedule", "laplace")
    with pytest.raises(Unsupported, match="its scheduler cannot be made"):
        settings_for("ddim", pixel)


def test_a_schedule_that_files_cannot_hold_is_named(
    pixel: Prior, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(pixel.schedule, "num_train_timesteps", 20_000)
    with pytest.raises(Unsupported, match="num_train_timesteps 20000, which files cannot hold"):
        settings_for("ddim", pixel)


def test_a_learned_token_stands_at_its_place_and_gradients_reach_it(latent: Prior) -> None:
    prompt = latent.prompt("a photo of *")
    assert prompt.place == 4
    table = latent.text_encoder.get_input_embeddings().weight
    # The embedding of a known token in the place of the learned one is that token.
    word = latent.tokenizer("photo", add_special_tokens=False)["input_ids"][0]
    same = latent.condition([latent.prompt("a photo of photo")])
    token = table[word].detach().clone()[None].requires_grad_()
    told = latent.condition([prompt], token)
    assert torch.allclose(told, same, atol=1e-6)
    (gradient,) = torch.autograd.grad(told.square().mean(), token)
    assert float(gradient.abs().sum()) > 0
    with torch.no_grad():
        assert not torch.allclose(latent.condition([prompt]), same)
    with pytest.raises(Unsupported, match="no room"):
        latent.prompt("z" * 60 + " *")


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_what_the_model_answers_follows_its_schedule(pixel: Prior, kind: str) -> None:
    scheduler = make("ddim", settings_for("ddim", pixel) | {"prediction_type": kind})
    x, noise = torch.full((1, 1, 2, 2), 0.5), torch.full((1, 1, 2, 2), -1.0)
    at = torch.tensor([300])
    alpha = scheduler.alphas_cumprod[300]
    wanted = {
        "epsilon": noise,
        "sample": x,
        "v_prediction": alpha.sqrt() * noise - (1 - alpha).sqrt() * x,
    }
    assert torch.allclose(target(scheduler, x, noise, at), wanted[kind], atol=1e-6)


def test_sides_that_the_model_cannot_make_are_named(latent: Prior) -> None:
    assert latent.latent_shape(16, 24) == (4, 8, 12)
    with pytest.raises(Unsupported, match="multiples of 4 pixels"):
        latent.latent_shape(18, 16)
    assert latent.latent_shape(64, 16) == (4, 32, 8)
    with pytest.raises(Unsupported, match="at most 64, not 4096x16"):
        latent.latent_shape(16, 4096)
