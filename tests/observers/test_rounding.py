"""Networks within a number of bytes: never more, rounded from the middle on, resumed exactly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcodec.codecs.lic.embedding import embed
from ddcodec.errors import UsageError
from ddcodec.format import context
from ddcodec.observers.build import build, initialise
from ddcodec.observers.file import load
from ddcodec.observers.rounding import (
    Rounding,
    bytes_of_rows,
    coded_weights,
    counts,
    predicted_bytes,
    with_size,
)
from ddcodec.observers.small_networks import Shape, SmallNetwork, step_for
from ddcodec.observers.train import Result, train
from ddcodec.observers.training import Recipe, Training
from ddcodec.preprocessing.transform import Preprocess
from ddcodec.runtime.rng import generator
from ddcodec.runtime.steps import seconds_per_step
from ddcodec.sources import Source
from tests.helpers.reporters import StopAt

IMAGE = (1, 8, 8)
RECIPE = Recipe(steps=1, batch_size=32, augment="crop")
Run = Callable[..., Result]


def fresh(size: int, image: tuple[int, int, int] = IMAGE, classes: int = 10) -> SmallNetwork:
    network = initialise(build(f"residual-{size}", *image, classes), generator(0, "x"))
    assert isinstance(network, SmallNetwork)
    return network


@settings(max_examples=10, deadline=None)
@given(
    st.sampled_from([(1, 8, 8), (3, 32, 32), (3, 64, 96)]),
    st.integers(2, 100),
    st.integers(0, 6000),
    st.sampled_from([2.0, 3.0, 4.5, 7.0]),
)
def test_a_network_never_has_more_bytes_than_were_asked_for(
    image: tuple[int, int, int], classes: int, more: int, bits: float
) -> None:
    total = predicted_bytes(Shape(image, classes, 1), 2) + more
    name = with_size("residual", image, classes, total, bits)
    network = fresh(int(name.removeprefix("residual-")), image, classes)
    found = Rounding(network, bits, total).finish()
    assert found <= total
    assert len(coded_weights(network)) + bytes_of_rows(network.shape) == found
    wider = Shape(image, classes, network.shape.size + 1)
    assert predicted_bytes(wider, max(2.0, 0.95 * bits)) > total
    # Random weights are where the coder has least to gain, and the bytes are used.
    assert found > 0.8 * total or network.shape.size < 12


@pytest.mark.parametrize("size", [1, 8, 40, 120])
def test_the_bound_holds_for_rows_without_any_pattern(size: int) -> None:
    shape = Shape((3, 32, 32), 10, size)
    for seed in range(10):
        rows = np.random.default_rng(seed).integers(0, 256, (counts(shape)[1] + 1, 2))
        assert len(context.encode(rows.astype(np.uint8), 8)) <= bytes_of_rows(shape)


def test_a_network_that_diverged_has_few_bytes() -> None:
    network = fresh(12)
    with torch.no_grad():
        for layer in network.layers():
            layer.weight.fill_(torch.nan)
    assert Rounding(network, 3.0, 400).finish() <= 400


def test_weights_are_free_until_the_middle_and_bytes_are_counted_on_the_way() -> None:
    network = fresh(24)
    most = predicted_bytes(network.shape, 2.9)
    rounding, found = Rounding(network, 3.0, most), []
    for step in range(100):
        if step == 71:  # as if learning had made the weights more even
            network.round_to(step_for(4.0))
        rounding.before(step, 100)
        found.append(network.step)
    assert found[:50] == [0.0] * 50
    assert set(found[50:71]) == {found[50]}
    assert found[50] > step_for(3.0)
    assert found[71] == found[74] == step_for(4.0)
    assert set(found[75:]) == {found[75]}
    assert found[75] > step_for(3.1)
    before = network.step
    assert rounding.finish() <= most
    assert network.step == before  # the margin was for that


def test_steps_that_are_timed_are_rounded_but_count_no_bytes(
    digits: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def write(network: SmallNetwork) -> bytes:
        written.append(network.step)
        return coded_weights(network)

    monkeypatch.setattr("ddcodec.observers.rounding.coded_weights", write)
    preprocess = Preprocess({"kind": "none"}, *IMAGE)
    training = Training(
        digits.train, fresh(24), preprocess, RECIPE, 0, torch.device("cpu"), total=9000
    )
    seconds_per_step(training)
    assert written == [step_for(3.0)]
    assert training.network.step == 0


@pytest.mark.parametrize(
    ("name", "total", "words"),
    [
        ("residual", None, "needs a size, as in residual-42, or `total_bytes`"),
        ("convnet3", 9000, "`total_bytes` is for `architecture` residual, not convnet3"),
        ("residual", 50, r"residual-1 takes about 71 bytes for 10 classes and images of 1x8x8 .*"
         "more than `total_bytes`=50"),
        ("residual-40", 900, "residual-40 takes about"),
        ("residual-0", 900, "unknown architecture 'residual-0'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(name: str, total: int | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        with_size(name, IMAGE, 10, total, 3.0)


def test_a_size_that_was_chosen_stays() -> None:
    assert with_size("residual-7", IMAGE, 10, 9000, 3.0) == "residual-7"
    assert with_size("residual-7", IMAGE, 10, None, 3.0) == "residual-7"
    assert with_size("convnet3", IMAGE, 10, None, 3.0) == "convnet3"
    assert with_size("residual", IMAGE, 10, 10**9, 3.0) == "residual-200"


@pytest.fixture(scope="module")
def run(digits: Source) -> Run:
    def of(out: Path, **arguments: object) -> Result:
        settings: dict[str, object] = {"epochs": 2, "recipe": RECIPE, "total_bytes": 2000}
        return train(digits, "residual", out, **(settings | arguments))  # type: ignore[arg-type]

    return of


@pytest.fixture(scope="module")
def whole(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    out = tmp_path_factory.mktemp("rounding") / "o.safetensors"
    return run(out), out


def test_it_learns_within_its_bytes_and_is_tested_as_it_is_kept(
    whole: tuple[Result, Path], digits: Source
) -> None:
    result, out = whole
    assert result.accuracy is not None
    assert result.accuracy > 0.6
    assert result.embedded_bytes is not None
    assert 0.9 * 2000 < result.embedded_bytes <= 2000
    found = load(out)
    description, network = found.description, found.network
    assert isinstance(network, SmallNetwork)
    assert description.architecture == result.architecture == network.architecture
    assert description.training["round"] == network.step >= step_for(3.0)
    assert len(coded_weights(network)) + bytes_of_rows(network.shape) == result.embedded_bytes
    assert digits.test is not None
    images = torch.from_numpy(digits.test.images[:]).permute(0, 3, 1, 2)
    right = (found.logits(images).argmax(1).numpy() == digits.test.labels).mean()
    assert right == pytest.approx(result.accuracy)
    # What is kept is what goes on learning: weights between the integers.
    layer = network.stem
    integers, scale = layer.integers()
    assert not torch.allclose(layer.weight, integers * scale[:, None, None, None])


def test_a_file_holds_it_in_the_bytes_that_were_said(
    whole: tuple[Result, Path], digits: Source
) -> None:
    result, out = whole
    observer = load(out)
    assert isinstance(observer.network, SmallNetwork)
    images = torch.from_numpy(digits.train.images[:100]).permute(0, 3, 1, 2)
    arrays, _ = embed(observer, images)
    codes = {name: context.encode(array, 8) for name, array in arrays.items()}
    assert codes["label_weights"] == coded_weights(observer.network)
    assert len(codes["label_affine"]) <= bytes_of_rows(observer.network.shape)
    assert result.embedded_bytes is not None
    assert sum(map(len, codes.values())) <= result.embedded_bytes


@pytest.mark.parametrize("stop", [20, 60])
def test_an_interruption_before_or_after_the_middle_changes_nothing(
    stop: int,
    run: Run,
    whole: tuple[Result, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ddcodec.runtime.steps.SNAPSHOT_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "o", reporter=StopAt(stop))
    assert (tmp_path / "o.checkpoint").exists()
    assert run(tmp_path / "o", resume=True).digest == whole[0].digest


def test_a_length_of_time_is_kept_and_leaves_the_weights_free_at_first(
    run: Run, tmp_path: Path
) -> None:
    result = run(tmp_path / "o", seconds=1)
    assert result.steps >= 1
    assert result.embedded_bytes is not None
    assert result.embedded_bytes <= 2000


def test_a_network_is_rounded_more_coarsely_without_training(
    digits: Source, whole: tuple[Result, Path], tmp_path: Path
) -> None:
    first, weights = whole
    fewer = train(
        digits, first.architecture, tmp_path / "o", epochs=0, weights=weights, total_bytes=1700
    )
    assert fewer.steps == 0
    assert fewer.embedded_bytes is not None
    assert fewer.embedded_bytes <= 1700
    steps = [load(path).description.training["round"] for path in (weights, tmp_path / "o")]
    assert steps[0] < steps[1]
