"""Encodes on a device that only pretends to be a GPU: one device, few waits, bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ddcodec.encoder
from ddcodec import load
from ddcodec.codecs.podd import initial, meta_batch
from ddcodec.codecs.podd import outer_loop as distil
from ddcodec.codecs.podd.outer_loop import Distiller, Run
from ddcodec.codecs.podd.presets import PRESETS
from ddcodec.distill.inner_runs import InnerRuns
from ddcodec.distill.networks import ConvNet
from ddcodec.judge.recipe import Recipe
from ddcodec.judge.trial import Trial
from ddcodec.preprocessing.transform import fit
from ddcodec.runtime import progress
from ddcodec.runtime.progress import SILENT
from ddcodec.sources.base import Source
from ddcodec.sources.split import Split
from tests.helpers import d3m_runs
from tests.helpers.plans import plan_of
from tests.helpers.pretend_device import PRETEND, PretendDevice

GIB = 1 << 30


def random_source(name: str, shape: tuple[int, int, int, int]) -> Source:
    classes, height, width, channels = shape
    g = np.random.default_rng(0)
    images = g.integers(0, 256, (2 * classes, height, width, channels), dtype=np.uint8)
    labels = np.arange(2 * classes) % classes
    split = Split(images, labels)
    names = tuple(f"class {i}" for i in range(classes))
    return Source(name, names, {"train": lambda: split, "test": lambda: split})


def pretended(
    source: Source,
    ipc: float,
    profile: str,
    real_images: int,
    expand: float = 1,
) -> Distiller:
    plan = plan_of(source, ipc=ipc, profile=profile, expand=expand)
    plan = replace(plan, activations="float32")
    preprocessing = dict(fit(source.train.images, plan.preprocessing))
    some = initial.real_tensors(source, preprocessing, PRETEND)
    # Class means pick images by a mask, whose count a pretended device does not know.
    with torch.fx.experimental._config.patch(meta_nonzero_assume_all_nonzero=True):
        variables = initial.initial_variables(plan, some, PRETEND)
    real = (
        torch.empty(real_images, *some[0].shape[1:], device=PRETEND),
        torch.empty(real_images, dtype=torch.int64, device=PRETEND),
    )
    return Distiller(plan, variables, real, Run(PRETEND, SILENT))


def replaying(device: torch.device, net: ConvNet, note: Callable[[str], None]) -> InnerRuns:
    """Stand in for a GPU that records: what is replayed is done again."""

    def recorder(work: Callable[[], None]) -> Callable[[], None]:
        work()
        return work

    return InnerRuns(net, recorder, note)


@pytest.mark.parametrize("recorded", [True, False])
# Labels are learned at 0.4 images per class and fixed at 1.
@pytest.mark.parametrize(
    ("profile", "ipc", "expand"),
    [
        ("quick", 0.4, 1),
        pytest.param("quick", 0.2, 1.5, marks=pytest.mark.slow),
        ("paper", 1.0, 1),
    ],
)
def test_an_outer_step_stays_on_the_device_and_waits_for_its_loss_alone(
    profile: str, ipc: float, expand: float, recorded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if recorded:
        monkeypatch.setattr(distil.InnerRuns, "on", replaying)
    source = random_source("digits", (10, 8, 8, 1))
    with PretendDevice() as device:
        run = pretended(source, ipc, profile, 400, expand)
        for index, stage in enumerate(run.plan.stages):
            run.stage_index = index
            run._begin_stage()
            run._outer_step(stage)  # records, and compares
            device.waits.clear()
            run._outer_step(stage)
            # The loss, and learned labels, which are projected on the processor.
            expected = 1 + (run.variables.label_array is not None)
            assert len(device.waits) == expected, device.waits
            replayed = {"kernel": (1, 0), "pool": (1, 1), "rat": (1, 1)}[stage.method]
            assert run.meta_batches[0].runs.recorded == (replayed if recorded else (0, 0))
    assert run.variables.poster.device == PRETEND


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "images", "limit"), [("cifar100", 50_000, 16), ("tiny-imagenet", 100_000, 40)]
)
def test_published_settings_fit_the_memory_of_a_gpu(
    name: str, images: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Steps before the window need little, and time.
    monkeypatch.setattr(meta_batch, "sample_truncation", lambda g, window, total: 1)
    monkeypatch.setattr(meta_batch, "kept_bytes", lambda device: limit * GIB // 4)
    shape = PRESETS[name].shape
    assert shape is not None
    source = random_source(name, shape)
    with PretendDevice() as device:
        run = pretended(source, 0.9, "paper", images)
        run._outer_step(run.plan.stages[0])
    # A fifth is left for what libraries take for themselves.
    assert device.peak < 0.8 * limit * GIB
    # The data and a quarter for kept passes are in it: the count is not of nothing.
    assert device.peak > limit * GIB / 4


@pytest.fixture
def pretend_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let encodes choose the pretended device, and let PyTorch allow what it allows on a GPU."""
    monkeypatch.setattr(ddcodec.encoder, "choose_device", lambda name: PRETEND)
    autocast = torch.autocast
    monkeypatch.setattr(
        torch,
        "autocast",
        lambda kind, *a, **k: nullcontext() if kind == "meta" else autocast(kind, *a, **k),
    )
    adamw = torch.optim.AdamW
    monkeypatch.setattr(
        torch.optim, "AdamW", lambda p, *a, **k: adamw(p, *a, **{**k, "fused": False})
    )
    # Class means pick images by a mask, whose count a pretended device does not know.
    with torch.fx.experimental._config.patch(meta_nonzero_assume_all_nonzero=True):
        yield


@pytest.mark.usefixtures("pretend_gpu")
@pytest.mark.parametrize(
    "settings",
    [
        {"ipc": 0.9, "profile": "quick", "steps": 4, "preprocessing": "conv_whiten"},
        {"ipc": 0.4, "profile": "paper", "steps": 1, "augment": "dsa"},
        pytest.param(
            {"ipc": 0.4, "codec": "ppodd", "steps": 4, "stages": 2}, marks=pytest.mark.slow
        ),
    ],
    ids=["quick", "paper", "ppodd"],
)
def test_a_whole_encode_keeps_to_the_device(
    settings: dict[str, object], digits: Source, tmp_path: Path
) -> None:
    with PretendDevice() as device:
        ddcodec.encoder.encode(digits, out=tmp_path / "x.ddset", **settings)
    assert device.operations > 100


@pytest.mark.usefixtures("pretend_gpu")
def test_squeezing_keeps_to_the_device(digits: Source, observer_file: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"ipc": 1, "steps": 2, "labels": "class"}
    out = tmp_path / "x.ddset"
    with PretendDevice() as device:
        ddcodec.encoder.encode(digits, out, "lic", observer=observer_file, **options)
    assert device.operations > 100


@pytest.mark.usefixtures("pretend_gpu")
def test_prompts_keep_to_the_device(
    digits: Source, observer_file: Path, prior_folder: Path, tmp_path: Path
) -> None:
    with PretendDevice() as device:
        d3m_runs.run(digits, observer_file, prior_folder, tmp_path / "x.ddset", labels="class")
    assert device.operations > 100


@pytest.mark.usefixtures("pretend_gpu")
@pytest.mark.parametrize("architecture", [None, "resnet18"])
def test_students_keep_to_the_device_and_seldom_wait(
    architecture: str | None, digits_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = load(digits_file)
    recipe = replace(Recipe.of(ds.manifest), steps=25, augment="dsa")
    test = torch.zeros(50, 1, 8, 8), torch.zeros(50, dtype=torch.int64)
    monkeypatch.setattr(progress, "SECONDS", 1e9)  # a busy machine may take longer
    with PretendDevice() as device:
        on_device = test[0].to(PRETEND), test[1].to(PRETEND)
        samples, labels = ds.on(PRETEND)
        device.waits.clear()
        Trial(recipe, on_device, 1, 0, SILENT, architecture).run("x", lambda _: (samples, labels))
    # Losses of three steps and then of every tenth, and at the end the number of right answers;
    # first, the network.
    waits = [line for line in device.waits if "network.to" not in line]
    assert len(waits) == 3 + 3 + 1, waits
    for x, y in ds.batches(16, device=PRETEND):
        assert x.device == y.device == PRETEND
