"""Encodes on a device that only pretends to be a GPU: one device, few waits, bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from ddcodec.codecs.podd import encode, meta_batch
from ddcodec.codecs.podd.distil import Distiller, Run
from ddcodec.codecs.podd.options import PoDDOptions
from ddcodec.codecs.podd.plan import make_plan
from ddcodec.codecs.podd.presets import PRESETS
from ddcodec.distill.networks import ConvNet
from ddcodec.distill.progress import SILENT
from ddcodec.distill.recorded import InnerRuns
from ddcodec.preprocess import fit
from ddcodec.sources.base import Source, Split
from tests.pretend import PRETEND, PretendDevice

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
    options: PoDDOptions,
    real_images: int,
) -> Distiller:
    plan = make_plan(source, ipc, options)
    plan = replace(plan, params=replace(plan.params, activations="float32"))
    preprocessing = dict(fit(source.train.images, plan.params.preprocessing))
    some = encode.real_tensors(source, preprocessing, torch.device("cpu"))
    variables = encode.initial_variables(plan, some, PRETEND)
    real = (
        torch.empty(real_images, *some[0].shape[1:], device=PRETEND),
        torch.empty(real_images, dtype=torch.int64, device=PRETEND),
    )
    return Distiller(plan.params, variables, real, Run(PRETEND, SILENT), "none")


def replaying(device: torch.device, net: ConvNet, note: Callable[[str], None]) -> InnerRuns:
    """Stand in for a GPU that records: what is replayed is done again."""

    def recorder(work: Callable[[], None]) -> Callable[[], None]:
        work()
        return work

    return InnerRuns(net, recorder, note)


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize(
    ("profile", "ipc"), [("quick", 0.4), ("paper", 1.0)]
)  # labels learned, not
def test_an_outer_step_stays_on_the_device_and_waits_for_its_loss_alone(
    profile: str, ipc: float, recorded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if recorded:
        monkeypatch.setattr(meta_batch.InnerRuns, "on", replaying)
    source = random_source("digits", (10, 8, 8, 1))
    with PretendDevice() as device:
        run = pretended(source, ipc, PoDDOptions(profile=profile), 400)
        for index, stage in enumerate(run.params.stages):
            run.stage_index = index
            run._begin_stage()
            run._outer_step(stage)  # records, and compares
            run.step += 1
            device.waits.clear()
            run._outer_step(stage)
            waits = ["distil.py: return float(loss)"]
            if run.variables.label_array is not None:
                waits.insert(0, "variables.py: array = self.label_array.cpu().numpy()")
            assert device.waits == waits
    assert run.variables.poster.device == PRETEND


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
        run = pretended(source, 0.9, PoDDOptions(profile="paper"), images)
        run._outer_step(run.params.stages[0])
    print(f"{name}: {device.peak / GIB:.2f} GiB")
    # A fifth is left for what libraries take for themselves.
    assert device.peak < 0.8 * limit * GIB
    # The data and a quarter for kept passes are in it: the count is not of nothing.
    assert device.peak > limit * GIB / 4
