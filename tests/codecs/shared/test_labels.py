"""Labels in bytes: what a symbol stands for, and how near the stored label is."""

from __future__ import annotations

from decimal import Decimal, getcontext

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddcodec.codecs.shared.labels import FRACTIONS, WEIGHTS, LabelPlan, plan_labels, restore, store
from ddcodec.codecs.shared.rules import class_indices, index_planes
from ddcodec.errors import UsageError


def logits(count: int, classes: int, seed: int = 0, spread: float = 3) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(count, 5, classes, generator=g) * spread


def test_the_table_of_weights_is_a_power_of_two_each() -> None:
    getcontext().prec = 50
    for f, integer in enumerate(FRACTIONS):
        exact = Decimal(2) ** (Decimal(40) - Decimal(f) / 16)
        assert abs(Decimal(integer) - exact) <= Decimal("0.5")
    assert WEIGHTS[0] == 1
    assert WEIGHTS[16] == 0.5
    assert WEIGHTS[255] == 0
    assert WEIGHTS[254] == pytest.approx(2 ** (-254 / 16), rel=1e-12)


@given(seed=st.integers(0, 50), classes=st.integers(2, 40), spread=st.floats(0.1, 4))
def test_every_share_is_kept_within_two_percent(seed: int, classes: int, spread: float) -> None:
    x = logits(2, classes, seed, spread)
    arrays = store(x, LabelPlan("logits"))
    assert arrays["labels"].dtype == np.uint8
    found = restore(arrays, "logits", classes)
    wanted = torch.softmax(x.double(), -1).flatten(0, 1).numpy()
    assert np.abs(found.sum(1) - 1).max() < 1e-6
    large = wanted > wanted.max(1, keepdims=True) * 2e-5
    assert np.abs(found / wanted - 1)[large].max() < 2 * 0.022 + 1e-6


def test_a_temperature_flattens_the_labels() -> None:
    x = logits(3, 10)
    warm = restore(store(x, LabelPlan("logits", temperature=4.0)), "logits", 10)
    wanted = torch.softmax(x / 4, -1).flatten(0, 1).numpy()
    assert np.abs(warm - wanted).max() < 0.02
    assert warm.max() < restore(store(x, LabelPlan("logits")), "logits", 10).max()


@pytest.mark.parametrize(("classes", "top"), [(3, 1), (10, 4), (300, 16), (70_000, 2)])
def test_the_most_probable_classes_and_the_rest_are_kept(classes: int, top: int) -> None:
    x = logits(2, classes, spread=2)
    arrays = store(x, LabelPlan("top", top))
    assert arrays["labels"].shape == (2, 5, top + 1)
    assert arrays["label_classes"].shape == (2, 5, index_planes(classes), top)
    found = restore(arrays, "top", classes)
    wanted = torch.softmax(x.double(), -1).flatten(0, 1)
    best = wanted.topk(top)
    index = class_indices(arrays["label_classes"]).reshape(10, top)
    assert np.array_equal(index, best.indices.numpy())
    kept = np.take_along_axis(found, index, 1)
    assert np.allclose(kept, best.values.numpy(), rtol=0.05)
    rest = 1 - kept.sum(1)
    others = (1 - best.values.sum(1)).numpy()
    assert np.allclose(rest, others, rtol=0.05, atol=1e-4)
    assert np.allclose(found.sum(1), 1, atol=1e-5)


def test_what_is_stored_is_canonical() -> None:
    """Every label has a symbol 0: there is one way to write it."""
    for plan in (LabelPlan("logits"), LabelPlan("top", 3)):
        assert (store(logits(4, 9, spread=6), plan)["labels"].min(-1) == 0).all()


def test_restoring_is_exact_arithmetic() -> None:
    """Binary64 in the order of the classes, rounded once, whatever the library does."""
    arrays = store(logits(1, 7), LabelPlan("logits"))
    for row, found in zip(
        arrays["labels"].reshape(-1, 7), restore(arrays, "logits", 7), strict=True
    ):
        mass = 0.0
        for q in row.tolist():
            mass += FRACTIONS[q % 16] / 2 ** (40 + q // 16)
        for q, value in zip(row.tolist(), found, strict=True):
            assert np.float32(FRACTIONS[q % 16] / 2 ** (40 + q // 16) / mass) == value


def test_auto_stores_all_logits_while_classes_are_few() -> None:
    assert plan_labels("auto", 10, 1.0) == LabelPlan("logits")
    assert plan_labels("auto", 1000, 1.0) == LabelPlan("top", 16)
    assert plan_labels("top=5", 10, 2.0) == LabelPlan("top", 5, 2.0)
    assert plan_labels("class", 10, 1.0) == LabelPlan("index")


@pytest.mark.parametrize("text", ["logits", "top=5", "class", "embed-teacher", "live"])
def test_a_plan_says_how_it_was_asked_for(text: str) -> None:
    plan = plan_labels(text, 10, 2.0)
    assert plan.as_option() == text
    assert plan.as_json().get("live", False) == (text == "live")


@pytest.mark.parametrize(
    ("text", "temperature"),
    [("top", 1), ("top=", 1), ("top=10", 1), ("top=0", 1), ("top=x", 1), ("top=\u0665", 1),
     ("learned", 1)],
)  # fmt: skip
def test_what_cannot_be_stored_is_a_usage_error(text: str, temperature: float) -> None:
    with pytest.raises(UsageError, match=r"`labels`"):
        plan_labels(text, 10, temperature)
