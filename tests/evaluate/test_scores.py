"""The label- and augmentation-robust scores: their formulas, and what is trained for them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddcodec import DistilledDataset, UsageError, load, pack
from ddcodec.evaluate.measure import protocol, train_students
from ddcodec.evaluate.scores import Weights, hard_labels, normalised, robust_scores, score
from ddcodec.judge.trial import Trial
from ddcodec.observers.file import load as load_observer
from ddcodec.sources import Source

SHARES = st.floats(0, 1)
NAMES = (
    *("real_hard", "syn_hard", "syn_any", "rdm_any"),
    *("syn_aug", "rdm_aug", "syn_naug", "rdm_naug"),
)


def flat(**given: float) -> dict[str, tuple[float, ...]]:
    """Accuracies of two networks that are alike; 0.5 where nothing is said."""
    return {name: (given.get(name, 0.5),) * 2 for name in NAMES}


def test_a_score_worked_out_by_hand() -> None:
    found = robust_scores(
        flat(real_hard=0.9, syn_hard=0.5, syn_any=0.7, rdm_any=0.4, syn_aug=0.7, rdm_aug=0.4,
             syn_naug=0.6, rdm_naug=0.5),
        Weights(),
    )  # fmt: skip
    assert found["hard_label_recovery_mean"] == pytest.approx(0.4)
    assert found["improvement_over_random_mean"] == pytest.approx(0.3)
    # alpha = 0.5 x 0.3 - 0.5 x 0.4 = -0.05, beta = 0.5 x 0.3 + 0.5 x 0.1 = 0.2
    span = math.e - 1 / math.e
    assert found["label_robust_score_mean"] == pytest.approx((math.exp(-0.05) - 1 / math.e) / span)
    score = found["augmentation_robust_score_mean"]
    assert score == pytest.approx((math.exp(0.2) - 1 / math.e) / span)
    assert found["label_robust_score_std"] == 0


def test_the_ends_of_the_scale() -> None:
    assert normalised(np.array([-1.0, 1.0])) == pytest.approx([0, 1])
    best = robust_scores(flat(real_hard=0, syn_hard=1, syn_any=1, rdm_any=0), Weights())
    assert best["label_robust_score_mean"] == pytest.approx(1)
    worst = robust_scores(flat(real_hard=1, syn_hard=0, syn_any=0, rdm_any=1), Weights())
    assert worst["label_robust_score_mean"] == pytest.approx(0, abs=1e-12)


@given(st.fixed_dictionaries({name: st.tuples(SHARES, SHARES) for name in NAMES}), SHARES, SHARES)
def test_scores_stay_within_0_and_1(per_net: dict[str, Any], w: float, g: float) -> None:
    found = robust_scores(per_net, Weights(w, g))
    for name in ("label_robust_score_mean", "augmentation_robust_score_mean"):
        assert -1e-9 <= found[name] <= 1 + 1e-9


@given(st.fixed_dictionaries({name: st.tuples(SHARES) for name in NAMES}))
def test_weights_choose_a_half(per_net: dict[str, Any]) -> None:
    one = {name: values[0] for name, values in per_net.items()}
    gain = robust_scores(per_net, Weights(1, 1))
    loss = robust_scores(per_net, Weights(0, 0))
    for found, name, value in (
        (gain, "label_robust_score_mean", one["syn_any"] - one["rdm_any"]),
        (gain, "augmentation_robust_score_mean", one["syn_aug"] - one["rdm_aug"]),
        (loss, "label_robust_score_mean", one["syn_hard"] - one["real_hard"]),
        (loss, "augmentation_robust_score_mean", one["syn_naug"] - one["rdm_naug"]),
    ):
        assert found[name] == pytest.approx(float(normalised(np.array(value))))


def test_the_scores_of_networks_are_averaged_not_the_accuracies() -> None:
    per_net = flat() | {"syn_any": (0.0, 1.0)}
    found = robust_scores(per_net, Weights(1, 1))
    each = normalised(np.array([-0.5, 0.5]))
    assert found["label_robust_score_mean"] == pytest.approx(each.mean())
    assert found["label_robust_score_std"] == pytest.approx(each.std())
    assert found["label_robust_score_mean"] > normalised(np.array(0.0))


def test_the_largest_share_becomes_the_class_and_of_equal_ones_the_first() -> None:
    soft = torch.tensor([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]])
    assert hard_labels(soft).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert hard_labels(soft).dtype == torch.float32


def file_of(source: Source, path: Path, soft: bool) -> DistilledDataset:
    """Two real images a class, in no class order, with labels that are certain or nearly so."""
    images = source.train.images[:4].transpose(0, 3, 1, 2)
    labels = np.eye(2, dtype=np.float32)[source.train.labels[:4]]
    pack(images, labels * 0.8 + 0.1 if soft else labels, source.classes, path)
    return load(path)


@pytest.fixture(scope="module")
def soft(tmp_path_factory: pytest.TempPathFactory, rows_and_columns: Source) -> DistilledDataset:
    return file_of(rows_and_columns, tmp_path_factory.mktemp("soft") / "x.ddset", soft=True)


def trial_of(ds: DistilledDataset, source: Source, augment: str = "shift") -> Trial:
    trial = protocol(ds, source.require_test(), nets=2, steps=12, device="cpu")
    small = {"depth": 1, "filters": 16, "lr": 0.02}
    return replace(trial, recipe=replace(trial.recipe, augment=augment, **small))


def test_what_is_easy_scores_high_and_every_accuracy_is_reported(
    soft: DistilledDataset, rows_and_columns: Source
) -> None:
    trial = trial_of(soft, rows_and_columns)
    found = score(trial, soft, rows_and_columns, full_steps=12)
    assert set(found["accuracies"]) == set(NAMES)
    assert all(len(entry["per_net"]) == 2 for entry in found["accuracies"].values())
    assert found["accuracies"]["real_hard"]["accuracy_mean"] > 0.95
    assert (found["random"]["labels"], found["random"]["images_per_class"]) == ("class", 2)
    assert found["augment"] == "shift"
    # A name for each of the six different trainings: an interrupted run tells what it has.
    assert len(trial.scores) == 6
    again = score(trial_of(soft, rows_and_columns), soft, rows_and_columns, full_steps=12)
    assert again == found


def test_the_file_as_it_is_has_the_accuracy_that_train_gives(
    soft: DistilledDataset, rows_and_columns: Source
) -> None:
    trial = protocol(soft, rows_and_columns.require_test(), nets=2, steps=3, device="cpu")
    found = score(trial, soft, rows_and_columns, full_steps=1)
    test = rows_and_columns.require_test()
    alone = train_students(soft, test, nets=2, steps=3, device="cpu")
    assert found["accuracies"]["syn_any"]["per_net"] == list(alone.per_net)


def test_without_augmentation_no_network_is_trained_twice(
    tmp_path: Path, rows_and_columns: Source
) -> None:
    certain = file_of(rows_and_columns, tmp_path / "x.ddset", soft=False)
    trial = trial_of(certain, rows_and_columns, augment="none")
    found = score(trial, certain, rows_and_columns, full_steps=1)
    of = found["accuracies"]
    assert of["syn_any"] == of["syn_aug"] == of["syn_naug"] == of["syn_hard"]
    assert of["rdm_any"] == of["rdm_aug"] == of["rdm_naug"]
    assert set(trial.scores) == {"this file", "random images, same pixels", "all training images"}
    assert found["with_aug_scores_mean"] == found["without_aug_scores_mean"]


def test_another_augmentation_leaves_the_label_robust_score_alone(
    soft: DistilledDataset, rows_and_columns: Source
) -> None:
    def scored(augment: str | None) -> dict[str, Any]:
        trial = trial_of(soft, rows_and_columns, augment="none")
        return score(trial, soft, rows_and_columns, augment=augment, full_steps=1)

    plain, shifted = scored(None), scored("shift")
    assert plain["label_robust_score_mean"] == shifted["label_robust_score_mean"]
    assert plain["accuracies"]["syn_naug"] == shifted["accuracies"]["syn_naug"]
    assert (plain["augment"], shifted["augment"]) == ("none", "shift")


def test_random_images_keep_to_the_bytes_of_the_file(
    soft: DistilledDataset, rows_and_columns: Source
) -> None:
    trial = trial_of(soft, rows_and_columns, augment="none")
    found = score(trial, soft, rows_and_columns, equal="bytes", full_steps=1)
    assert found["random"]["equal"] == "bytes"
    assert found["random"]["bytes"] <= soft.file.sizes.total


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"equal": "images"}, "images"),
        ({"augment": "blur"}, "blur"),
        ({"weights": Weights(1.1, 0.5)}, "lrs_lambda"),
        ({"weights": Weights(0.5, float("nan"))}, "ars_lambda"),
        ({"full_steps": 0}, "steps"),
    ],
)
def test_an_argument_out_of_range_is_refused_before_any_training(
    soft: DistilledDataset, rows_and_columns: Source, wrong: dict[str, Any], said: str
) -> None:
    trial = trial_of(soft, rows_and_columns)
    with pytest.raises(UsageError, match=said):
        score(trial, soft, rows_and_columns, **wrong)
    assert trial.scores == {}


def test_an_observer_labels_the_random_images(
    lic_file: DistilledDataset, digits: Source, observer_file: Path
) -> None:
    trial = protocol(lic_file, digits.require_test(), nets=1, steps=2, device="cpu")
    teacher = load_observer(observer_file)
    found = score(trial, lic_file, digits, observer=teacher, full_steps=1)
    assert found["random"]["labels"] == "observer"
    assert any("the observer's labels" in name for name in trial.scores)
