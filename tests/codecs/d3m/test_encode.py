"""D3M from images to a file: selection, inversion, what is stored, and going on after a stop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ddcodec
from ddcodec import D3M, LIC, encode
from ddcodec.codecs.base import Request
from ddcodec.codecs.d3m import encode as module
from ddcodec.codecs.d3m.invert import best_patches, first_token, invert, random_collages
from ddcodec.codecs.d3m.pack import RECORDED
from ddcodec.codecs.d3m.params import D3MParams, make_params
from ddcodec.codecs.shared.groups import in_groups
from ddcodec.codecs.shared.selection import losses_of
from ddcodec.codecs.shared.statement import command_of
from ddcodec.errors import CheckpointMismatch, SourceError, UsageError
from ddcodec.format import read
from ddcodec.observers.file import load as load_observer
from ddcodec.priors.folder import find
from ddcodec.priors.model import Prior
from ddcodec.runtime.progress import SILENT
from ddcodec.runtime.ranks import Ranks
from ddcodec.runtime.rng import generator
from ddcodec.sources import Source
from ddcodec.sources.base import InMemory
from ddcodec.sources.split import Split
from tests.helpers.d3m_runs import run
from tests.helpers.reporters import StopAfter
from tests.helpers.small_models import stable_diffusion

CPU = torch.device("cpu")


class Folder:
    """As much of a model's folder as settings depend on."""

    name = "p"

    def __init__(self, latent: bool) -> None:
        self.latent = latent

    def has(self, part: str) -> bool:
        return part == "vae" and self.latent


def settings(
    height: int = 8, width: int = 8, native: int = 8, latent: bool = False, **changes: Any
) -> D3MParams:
    given = {"ipc": 1, "observer": "o", "prior": "p", "resolution": native} | changes
    folder: Any = Folder(latent)
    return make_params(D3M(**given), (1, height, width), 10, folder, "float32", 0)


def test_half_of_the_candidates_are_kept_the_best(digits: Source, observer_file: Path) -> None:
    observer, pool = load_observer(observer_file), InMemory(digits)
    found = best_patches(pool, 7, "7", observer, settings(candidates=50), CPU)
    assert found.shape == (25, 1, 8, 8)
    drawn = torch.randperm(pool.count(7), generator=generator(0, "candidates", 7))[:50]
    images = torch.from_numpy(pool.images(7, drawn.numpy())).permute(0, 3, 1, 2)
    losses = losses_of(images, 7, observer)
    assert torch.equal(losses_of(found, 7, observer).sort().values, losses.sort().values[:25])
    crops = best_patches(pool, 7, "7", observer, settings(candidates=50, select="crops"), CPU)
    assert crops.shape == found.shape
    assert not torch.equal(crops, found)
    lone = Split(np.zeros((1, 8, 8, 1), np.uint8), np.zeros(1, np.int64))
    alone = InMemory(Source("one", ("a",), {"train": lambda: lone}))
    with pytest.raises(SourceError, match="'a' has 1 training image"):
        best_patches(alone, 0, "a", observer, settings(), CPU)


def test_the_usual_settings_are_those_of_the_paper_for_large_models_and_images() -> None:
    large = settings(height=224, width=224, native=512, latent=True)
    assert (large.collage, large.take, large.size) == (4, 2, (512, 512))
    decided = large.options
    assert (decided.guidance, decided.select, decided.steps) == (7.5, "crops", 3000)
    assert settings(ipc=10, height=32, width=32, native=512, latent=True).collages == 1
    small = settings(ipc=10)
    assert (small.collage, small.take, small.size, small.collages) == (1, 1, (8, 8), 10)
    wide = settings(height=20, width=60, native=64)
    assert wide.size == (24, 64)
    pictures = random_collages(
        torch.zeros(3, 1, 8, 8, dtype=torch.uint8), 2, settings(collage=2), generator(0)
    )
    assert pictures.shape == (2, 1, 8, 8)


@pytest.mark.parametrize("ipc", [float("inf"), float("nan"), -float("inf")])
def test_a_budget_that_is_no_number_is_named(ipc: float) -> None:
    with pytest.raises(UsageError, match="`ipc`"):
        settings(ipc=ipc)
    with pytest.raises(UsageError, match="`ipc`"):
        LIC(ipc=ipc, observer="o")


def test_the_recorded_command_names_every_prompt_that_is_not_usual() -> None:
    def command(**given: Any) -> str:
        return command_of("d", "d3m", RECORDED, settings(**given).options, seed=0, size=None)

    assert "--prompt" not in command(tokens="names", collage=2)
    other = command(tokens="names", collage=2, prompt="a photo of *")
    assert "--prompt 'a photo of *'" in other
    assert "--prompt" not in command()
    assert "--prompt" not in command(prompt="a photo of *")


def test_inversion_finds_a_token_that_explains_its_class_better(
    digits: Source, prior: Prior
) -> None:
    params = replace(settings(steps=12, rate=1.0), batch=16)
    ones = torch.from_numpy(InMemory(digits).images(1, np.arange(40))).permute(0, 3, 1, 2)
    begin = first_token(prior, "1")[None]
    losses: list[float] = []
    prompt = prior.prompt(params.prompt)
    found = invert(prior, prompt, [ones], begin, [1], params, losses.append)
    assert found.shape == (1, prior.width)
    assert not torch.equal(found, begin)
    # The same noise again, before and after: only the token differs.
    still = replace(settings(steps=1, rate=1e-6), batch=64)
    scores = []
    for token in (begin, found):
        invert(prior, prompt, [ones], token, [1], still, scores.append)
    assert scores[1] < scores[0]


def test_classes_side_by_side_do_not_change_each_other(digits: Source, prior: Prior) -> None:
    params = replace(settings(steps=3), batch=4)
    pool, prompt = InMemory(digits), prior.prompt("a photo of *")
    patches = [torch.from_numpy(pool.images(c, np.arange(20))).permute(0, 3, 1, 2) for c in (3, 8)]
    begin = torch.stack([first_token(prior, "3"), first_token(prior, "8")])
    both = invert(prior, prompt, patches, begin, [3, 8], params, lambda _: None)
    alone = invert(prior, prompt, patches[1:], begin[1:], [8], params, lambda _: None)
    assert torch.allclose(both[1:], alone, atol=1e-5)


@pytest.mark.slow
def test_an_encode_stores_tokens_seeds_labels_and_its_model(
    digits: Source, observer_file: Path, prior_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "x.ddset"
    manifest = run(digits, observer_file, prior_folder, out, ipc=3)
    assert {n: (t.dtype, t.shape) for n, t in manifest.tensors.items()} == {
        "fingerprints": ("uint8", (10, 4, 4)),
        "labels": ("uint8", (30, 1, 10)),
        "seeds": ("uint8", (1, 10, 3)),
        "tokens": ("float32", (10, 64)),
    }
    assert manifest.external == (find(prior_folder).as_external(),)
    assert manifest.recipe["augment"] == "none"
    again = run(digits, observer_file, prior_folder, tmp_path / "y.ddset", ipc=3)
    assert again.content_digest == manifest.content_digest
    assert ddcodec.verify(out) == []
    ds = ddcodec.load(out, prior=prior_folder)
    observer = load_observer(observer_file)
    images = torch.stack([image for image, _ in ds])
    soft = (observer.network(images) / 2).softmax(1)  # the file's preprocessing is the observer's
    assert torch.allclose(ds.soft_labels, soft, atol=0.02)
    words = manifest.provenance["command"].split()
    assert words[words.index("--prior") + 1] == "small"


def test_one_hot_files_and_names_take_next_to_no_bytes(
    digits: Source, observer_file: Path, prior_folder: Path, tmp_path: Path
) -> None:
    names = run(
        digits, observer_file, prior_folder, tmp_path / "a.ddset",
        tokens="names", labels="class", steps=None,
    )  # fmt: skip
    assert set(names.tensors) == {"fingerprints", "seeds"}
    assert names.recipe["augment"] == "dsa_upright"
    ds = ddcodec.load(tmp_path / "a.ddset", prior=prior_folder)
    assert ds.soft_labels.argmax(1).tolist() == [i // 2 for i in range(20)]


def test_tokens_take_8_bits_a_value_or_16(
    digits: Source, observer_file: Path, prior_folder: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"ipc": 1, "steps": 1}
    eight = run(digits, observer_file, prior_folder, tmp_path / "a.ddset", **settings)
    spec = eight.tensors["tokens"]
    assert (spec.dtype, spec.quantiser and spec.quantiser["bits"]) == ("float32", 8)
    assert "--token-bits" not in eight.provenance["command"]
    sixteen = run(
        digits, observer_file, prior_folder, tmp_path / "b.ddset", token_bits=16, **settings
    )
    assert (sixteen.tensors["tokens"].dtype, sixteen.tensors["tokens"].quantiser) == (
        "float16",
        None,
    )
    assert "--token-bits 16" in sixteen.provenance["command"]
    for name in ("a.ddset", "b.ddset"):
        ddcodec.load(tmp_path / name, prior=prior_folder)[0]


@pytest.mark.slow
def test_finished_groups_are_kept_over_an_interruption(
    digits: Source, observer_file: Path, prior_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("ddcodec.codecs.d3m.params.GROUP", 4)
    settings = {"steps": 10, "ipc": 1}
    whole = run(digits, observer_file, prior_folder, tmp_path / "a.ddset", **settings)
    out, folder = tmp_path / "b.ddset", tmp_path / "b.ddset.checkpoint"
    for left in (15, 21):  # while the second group learns; while the second group is labelled
        with pytest.raises(KeyboardInterrupt):
            run(digits, observer_file, prior_folder, out, resume=left == 21,
                reporter=StopAfter(left), **settings)  # fmt: skip
        assert folder.is_dir()
        assert not out.exists()
    with pytest.raises(CheckpointMismatch):
        run(digits, observer_file, prior_folder, out, resume=True, seed=1, **settings)
    learned: list[Any] = []
    original = module.invert
    monkeypatch.setattr(module, "invert", lambda *a: learned.append(a) or original(*a))
    resumed = run(digits, observer_file, prior_folder, out, resume=True, **settings)
    assert len(learned) <= 1
    assert resumed.content_digest == whole.content_digest
    assert out.read_bytes() == (tmp_path / "a.ddset").read_bytes()
    assert not folder.exists()


def test_processes_share_the_groups_out(
    digits: Source, observer_file: Path, prior: Prior, prior_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("ddcodec.codecs.d3m.params.GROUP", 3)
    exact = {"ipc": 1, "token_bits": 16}
    run(digits, observer_file, prior_folder, tmp_path / "a.ddset", **exact)
    out, params = tmp_path / "b.ddset", settings(sampling_steps=2, steps=2, **exact)
    assert len(in_groups(10, params.group)) == 4
    request = Request(digits, out, CPU, 0, False, False, SILENT)
    observer = load_observer(observer_file)
    work = [module.Encode(request, observer, prior, params, Ranks(r, 2)) for r in (0, 1)]
    work[0].parts.prepare(False)
    for stage in (module.Encode.invert, module.Encode.label):
        for part in work:
            stage(part)
    arrays = work[0].arrays()
    found = read(tmp_path / "a.ddset").arrays
    assert all(np.array_equal(arrays[name], found[name]) for name in found)


def test_a_model_of_stable_diffusions_layout_makes_grey_digits(
    digits: Source, observer_file: Path, tmp_path: Path
) -> None:
    folder = stable_diffusion(tmp_path, prediction="v_prediction")
    out = tmp_path / "x.ddset"
    manifest = run(digits, observer_file, folder, out, ipc=3, collage=2, scheduler="dpm_solver")
    params = manifest.codec["params"]
    assert params["size"] == [16, 16]
    assert params["scheduler"]["config"]["prediction_type"] == "v_prediction"
    assert manifest.tensors["seeds"].shape == (1, 10, 1)  # four images from one collage
    ds = ddcodec.load(out, prior=folder, raw=True)
    assert len(ds) == 30
    assert ds[0][0].shape == (1, 8, 8)
    assert not torch.equal(ds[0][0], ds[1][0])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"ipc": 0.5}, "`ipc` must be"),
        ({"collage": 3, "take": 2}, "`take`=2 must divide"),
        ({"take": 16, "collage": 16}, "`take`=16: images"),
        ({"select": "worst"}, "`select` must be one of"),
        ({"tokens": "none"}, "`tokens` must be one of"),
        ({"tokens": "names"}, "`steps` counts"),
        ({"token_bits": 4}, "`token_bits` must be one of"),
        ({"prompt": "a photo"}, "`prompt` must"),
        ({"scheduler": "euler"}, "`scheduler` must be one of"),
        ({"variations": 0}, "`variations`"),
        ({"sampling_steps": 0}, "`sampling_steps`"),
        ({"guidance": -1.0}, "`guidance`"),
        ({"labels": "learned"}, "`labels` must be"),
        ({"labels": "live"}, "`labels`=live: a file of the codec d3m holds no observer"),
        ({"quality": "small"}, "`quality` belongs to"),
    ],
)
def test_settings_that_cannot_work_are_named(
    digits: Source, observer_file: Path, prior_folder: Path, tmp_path: Path,
    wrong: dict[str, Any], words: str,
) -> None:  # fmt: skip
    with pytest.raises(UsageError, match=words):
        run(digits, observer_file, prior_folder, tmp_path / "x.ddset", **wrong)
    assert not (tmp_path / "x.ddset.checkpoint").exists()


def test_observer_and_prior_must_be_given(digits: Source, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`observer` and `prior` must be given"):
        encode(digits, tmp_path / "x.ddset", "d3m", ipc=1)
