"""What a caller has set in torch, NumPy and Python changes no result, and no call changes it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import ddcodec
from ddcodec.data.export import LAYOUTS, Decoded
from ddcodec.evaluate import train_students
from ddcodec.evaluate.baselines import baselines
from ddcodec.evaluate.measure import protocol
from ddcodec.inspection.preview import render
from ddcodec.observers import train as observers
from ddcodec.observers.file import load as load_observer
from ddcodec.observers.training import Recipe
from ddcodec.priors.train import PriorRecipe
from ddcodec.priors.train import train as train_prior
from ddcodec.sources import Source
from tests.helpers import d3m_runs
from tests.helpers.reporters import Notes
from tests.helpers.worlds import WORLDS, World, everything, state

QUICK = {"ipc": 0.4, "profile": "quick", "steps": 2, "device": "cpu", "overwrite": True}


@dataclass(frozen=True)
class Things:
    """What the calls are given."""

    digits: Source
    podd: Path
    observer: Path
    prior: Path
    folder: Path


def same(*parts: Any) -> Any:
    """Return a value that two equal results share; no tensor may be of inference mode."""
    found = []
    for part in parts:
        if isinstance(part, Tensor):
            assert not part.is_inference()
            part = part.numpy()
        if isinstance(part, np.ndarray):
            part = (part.dtype.str, part.shape, hashlib.sha256(part.tobytes()).hexdigest())
        found.append(part)
    return found


def encode_podd(it: Things) -> Any:
    return ddcodec.encode(it.digits, it.folder / "a", **QUICK).content_digest


def encode_fixed_labels(it: Things) -> Any:
    options = QUICK | {"ipc": 1.0, "labels": "fixed", "preprocessing": "conv_whiten"}
    return ddcodec.encode(it.digits, it.folder / "a", **options).content_digest


def encode_ppodd(it: Things) -> Any:
    options = QUICK | {"stages": 2, "steps": 4}
    return ddcodec.encode(it.digits, it.folder / "a", "ppodd", **options).content_digest


def encode_lic(it: Things) -> Any:
    made = ddcodec.encode(
        it.digits, it.folder / "a", "lic", ipc=1, steps=2, observer=it.observer, overwrite=True,
        labels="embed-teacher", device="cpu",
    )  # fmt: skip
    return made.content_digest


def encode_d3m(it: Things) -> Any:
    out = it.folder / "a"
    made = d3m_runs.run(it.digits, it.observer, it.prior, out, ipc=1)
    ds = ddcodec.load(out, prior=it.prior)
    return same(made.content_digest, ds[0][0], next(iter(ds.batches(4)))[0])


def train_observer(it: Things) -> Any:
    recipe = Recipe(steps=1, batch_size=32, augment="crop")
    made = observers.train(
        it.digits, "convnet3", it.folder / "o", epochs=0.1, recipe=recipe, device="cpu"
    )
    return made.digest, made.accuracy


def train_a_prior(it: Things) -> Any:
    recipe = PriorRecipe(steps=1, batch=2, width=8)
    return train_prior(it.digits, it.folder / "p", recipe=recipe, overwrite=True).digest


def label(it: Things) -> Any:
    seen = torch.from_numpy(it.digits.test.images[:5]).permute(0, 3, 1, 2)
    return same(load_observer(it.observer).logits(seen))


def students(it: Things) -> Any:
    ds = ddcodec.load(it.podd)
    return [
        train_students(ds, it.digits.test, nets=1, steps=3, device="cpu", architecture=name).per_net
        for name in (None, "resnet18")
    ]


def compare(it: Things) -> Any:
    ds = ddcodec.load(it.podd)
    trial = protocol(ds, it.digits.test, nets=1, steps=2, device="cpu")
    found = baselines(trial, ds, it.digits, full_steps=2)
    found["quantised_network_same_bytes"]["seconds"] = 0
    return found


def read(it: Things) -> Any:
    ds = ddcodec.load(it.podd)
    found: list[Any] = [*ds[3], ds.soft_labels, ds.preprocess(it.digits.test.images[:3])]
    for batches in (
        ds.batches(50, augment="flip_rotate"),
        ds.batches(50, augment="dsa"),
        ds.batches(50, augment="views"),
        ds.stream(seed=3, batch_size=20),
        ddcodec.load(it.podd, raw=True, hard_labels=True).batches(60),
    ):
        for images, labels in batches:
            found += [images, labels]
    return same(*found, *(x for pair in ds.stream(seed=1) for x in pair))


def pack(it: Things) -> Any:
    train, out = it.digits.train, it.folder / "a"
    images = np.ascontiguousarray(train.images[:90].transpose(0, 3, 1, 2))
    made = ddcodec.pack(images, train.labels[:90], it.digits.classes, out, chunk=20, overwrite=True)
    stored: Any = ddcodec.ChunkedDataset(out, 16, seed=4)
    return same(made.content_digest, *(x for pair in stored for x in pair))


def look(it: Things) -> Any:
    facts = ddcodec.info(it.podd, equivalents=True)
    picture = render(ddcodec.load(it.podd)).tobytes()
    return facts["equivalents"], hashlib.sha256(picture).hexdigest(), ddcodec.verify(it.podd)


def export(it: Things) -> Any:
    it.folder.joinpath("npz").mkdir(exist_ok=True)
    LAYOUTS["npz"](Decoded(it.podd), it.folder / "npz")
    with np.load(it.folder / "npz" / "data.npz") as whole:
        return same(*(whole[name] for name in whole.files))


SHORT = (encode_podd, students, read)
LONG = (
    encode_fixed_labels, encode_ppodd, encode_lic, encode_d3m, train_observer, train_a_prior, label,
    compare, pack, look, export,
)  # fmt: skip
CASES = [(call, name, world) for call in SHORT for name, world in WORLDS.items()]
CASES += [(call, "everything", everything) for call in SHORT + LONG]


@pytest.fixture(scope="module")
def things(
    digits: Source,
    digits_file: Path,
    observer_file: Path,
    prior_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Things:
    folder = tmp_path_factory.mktemp("world")
    return Things(digits, digits_file, observer_file, prior_folder, folder)


@cache
def usual(call: Callable[[Things], Any], it: Things) -> Any:
    return call(it)


@pytest.mark.parametrize(
    ("call", "world"),
    [pytest.param(call, world, id=f"{call.__name__}-{name}") for call, name, world in CASES],
)
def test_results_are_those_of_a_plain_world_and_the_world_stays(
    call: Callable[[Things], Any], world: World, things: Things
) -> None:
    wanted = usual(call, things)
    with world():
        before = state()
        found = call(things)
        assert state() == before
    assert found == wanted


class Raising(Notes):
    def __init__(self, error: type[BaseException]) -> None:
        super().__init__()
        self.error = error

    def step(self, done: int, loss: float) -> None:
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_the_world_is_as_it_was_after_an_end_in_the_middle(
    error: type[BaseException], things: Things, tmp_path: Path
) -> None:
    with everything():
        before = state()
        with pytest.raises(error):
            ddcodec.encode(things.digits, tmp_path / "a", **QUICK, reporter=Raising(error))
        assert state() == before
