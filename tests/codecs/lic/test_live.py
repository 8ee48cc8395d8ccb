"""The network in a file in floats: near its exact labels, and near what it was made of."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ddcodec import InvalidFile, UsageError
from ddcodec.codecs.lic.embedding import embed
from ddcodec.codecs.lic.integer_network import ARCHITECTURES, network, taken_apart, units
from ddcodec.codecs.lic.live import LiveTeacher
from ddcodec.codecs.lic.teacher import Teacher, stored_units
from ddcodec.data.dataset import DistilledDataset
from ddcodec.nn.views import drawn as drawn_views
from ddcodec.runtime.rng import generator
from ddcodec.sources import Source
from tests.codecs.lic.test_small_teacher import drawn as drawn_small
from tests.codecs.lic.test_teacher import SHAPES, drawn, images
from tests.helpers.live_sets import live_set
from tests.helpers.pretend_device import PRETEND, PretendDevice

NAMES = (*ARCHITECTURES, "residual-1", "residual-42")


def both(
    architecture: str, shape: tuple[int, int, int], temperature: float = 2.0
) -> tuple[Teacher, LiveTeacher, torch.Tensor, torch.Tensor]:
    """Return a network in integers and in floats, bytes that it sees, and their values."""
    name, size = taken_apart(architecture)
    observer, x = drawn_small(shape, size, 3.0) if size else drawn(name, shape), images(shape, 6)
    arrays, scale = embed(observer, x)
    steps = network(name, *shape, 7, size)
    stored = stored_units(steps, name, arrays)
    live = LiveTeacher(steps, stored, shape, scale, temperature, architecture)
    labels = {"architecture": name, "size": size, "scale": scale}
    exact = Teacher(arrays, labels, observer.description.image, 7)
    return exact, live, x, observer.preprocess(x)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_labels_of_plain_images_are_nearly_the_exact_ones(
    name: str, shape: tuple[int, int, int]
) -> None:
    exact, live, x, seen = both(name, shape)
    wanted = (exact.logits(x) / 2).softmax(1)
    found = live.labels(seen)
    assert (found.dtype, found.shape) == (torch.float32, (6, 7))
    assert (found - wanted).abs().max() < 0.002
    assert (live.labels(seen, torch.bfloat16) - wanted).abs().max() < 0.02
    torch.testing.assert_close(found.sum(1), torch.ones(6))


def test_the_temperature_divides_logits() -> None:
    exact, live, x, seen = both("convnet3", (3, 12, 9), temperature=0.5)
    wanted = (exact.logits(x) / 0.5).softmax(1)
    assert (live.labels(seen) - wanted).abs().max() < 0.002


def test_many_views_are_labelled_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    _, live, _, seen = both("convnet3", (1, 8, 8))
    whole = live.labels(seen)
    monkeypatch.setattr("ddcodec.codecs.lic.live.PIXELS_AT_ONCE", 128)
    torch.testing.assert_close(live.labels(seen), whole)
    assert live.labels(seen[:0]).shape == (0, 7)


def test_no_gradient_flows_and_inputs_stay() -> None:
    _, live, _, seen = both("resnet18", (1, 8, 8))
    before = seen.clone()
    found = live.labels(seen.requires_grad_())
    assert not found.requires_grad
    assert torch.equal(seen, before)


@pytest.mark.parametrize(
    ("views", "said"),
    [
        (torch.zeros(2, 3, 8, 8), r"float32 \(2, 3, 8, 8\)"),
        (torch.zeros(1, 8, 8), r"float32 \(1, 8, 8\)"),
        (torch.zeros(0), r"float32 \(0,\)"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), r"uint8 \(2, 1, 8, 8\); `preprocess` makes"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.int64), r"int64 \(2, 1, 8, 8\)"),
        (np.zeros((2, 1, 8, 8), np.float32), "ndarray"),
        (None, "NoneType"),
    ],
)
def test_what_is_no_view_is_refused(views: Any, said: str) -> None:
    _, live, _, _ = both("residual-1", (1, 8, 8))
    with pytest.raises(UsageError, match=rf"sees float32 tensors \(B, 1, 8, 8\), got {said}"):
        live.labels(views)


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_other_floats_become_float32(kind: torch.dtype) -> None:
    _, live, _, seen = both("residual-1", (1, 8, 8))
    found = live.labels(seen.to(kind))
    assert found.dtype == torch.float32
    assert torch.equal(found, live.labels(seen.to(kind).float()))


def of_rows(architecture: str, largest: float, scale: float, temperature: float) -> LiveTeacher:
    """Return a network of any weights whose scales and shifts are as large, of either sign."""
    steps, random = network(architecture, 1, 8, 8, 7), np.random.default_rng(3)
    kinds = [unit for unit in units(steps) if unit is not None]
    count = sum(1 if unit is None else unit.filters for unit in units(steps))
    arrays = {
        "label_weights": random.integers(1, 256, sum(unit.weights for unit in kinds), np.uint8),
        "label_affine": random.choice([-largest, largest], (count, 2)).astype(np.float32),
    }
    stored = stored_units(steps, architecture, arrays)
    return LiveTeacher(steps, stored, (1, 8, 8), scale, temperature, architecture)


def test_weights_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InvalidFile, match="not finite in float32") as found:
        of_rows("convnet3", 3e38, 1e6, 0.01)
    assert found.value.code == "DDS-E023"


@pytest.mark.parametrize("scale", [1e-6, 1.0])
@pytest.mark.parametrize("architecture", ["convnet3", "resnet18", "mobilenetv2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_labels_are_numbers_whatever_a_file_holds(
    architecture: str, scale: float, dtype: torch.dtype
) -> None:
    live = of_rows(architecture, 7e17, scale, 1.0)
    views = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 1e30
    torch.testing.assert_close(live.labels(views, dtype).sum(1), torch.ones(4))


def test_a_copy_and_one_that_was_sent_say_the_same() -> None:
    _, live, _, seen = both("mobilenetv2", (1, 20, 36))
    wanted = live.labels(seen)
    sent = pickle.loads(pickle.dumps(live))  # noqa: S301 (our own bytes)
    assert torch.equal(sent.labels(seen), wanted)
    assert torch.equal(live.to("cpu").labels(seen), wanted)


def test_views_and_their_labels_keep_to_the_device_and_never_wait() -> None:
    _, live, _, seen = both("residual-42", (3, 32, 32))
    there, x = live.to(PRETEND), seen.to(PRETEND)
    y = torch.empty(6, 7, device=PRETEND)
    with PretendDevice() as device:
        for key in range(6):  # enough to lay over and to cut
            views, labels = drawn_views(x, y, "views", generator(key), there, torch.bfloat16)
            mixed = drawn_views(x, y, "views", generator(key))[1]
            assert views.is_meta
            assert labels.shape == mixed.shape == (6, 7)
    assert device.waits == []


def test_only_a_file_that_says_so_has_a_teacher(
    digits: Source, observer_file: Path, tmp_path: Path
) -> None:
    ds = live_set(digits, observer_file, tmp_path / "x.ddset")
    assert isinstance(ds.teacher, LiveTeacher)
    assert repr(ds.teacher) == "convnet3 that labels views, temperature 2"
    seen, own = ds.on("cpu")
    assert torch.equal(own, ds.soft_labels)
    found = ds.teacher.labels(seen.gather(torch.arange(len(ds))))
    # Eight bits of a symbol and the rounding between layers.
    assert (found - ds.soft_labels).abs().max() < 0.02
    ds.file.manifest.labels.pop("live")
    quiet = DistilledDataset(ds.file)
    assert quiet.teacher is None
    assert torch.equal(quiet.soft_labels, ds.soft_labels)
