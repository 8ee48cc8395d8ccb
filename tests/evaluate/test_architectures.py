"""The table of networks: who is in it, what the mean is over, who learns less than from images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddcodec
from ddcodec import UsageError, encode, load
from ddcodec.evaluate.architectures import across_networks, learn_less, transfer
from ddcodec.evaluate.measure import on_file, protocol
from ddcodec.judge.trial import Trial
from ddcodec.runtime.finished import Finished
from ddcodec.sources import Source


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, digits: Source) -> Path:
    out = tmp_path_factory.mktemp("table") / "x.ddset"
    encode(digits, ipc=0.9, steps=2, out=out, device="cpu", profile="quick")
    return out


class Kept(Finished):
    """Keeps in memory."""

    def __init__(self) -> None:
        self.parts: dict[str, Any] = {}

    def find(self, key: str) -> Any:
        return self.parts.get(key)

    def keep(self, key: str, value: Any) -> None:
        self.parts[key] = value


def trial_of(path: Path, digits: Source, **settings: Any) -> Trial:
    return protocol(load(path), digits.require_test(), nets=1, device="cpu", **settings)


def test_every_network_has_a_row_and_the_own_one_two_more(path: Path, digits: Source) -> None:
    ds, trial = load(path), trial_of(path, digits)
    found = across_networks(ds, trial, ["mlp", "convnet3"], steps=20)
    rows = found["rows"]
    assert [(row["network"], row["kind"], row["own"]) for row in rows] == [
        ("mlp", "network", False),
        ("convnet3", "network", False),
        ("convnet2-in", "sgd", True),
        ("convnet2-in", "fast", True),
    ]
    assert [row["steps"] for row in rows] == [20, 20, 100, 10]
    assert [row["optimizer"] for row in rows][2:] == ["sgd", "adam"]
    assert {row["bytes"] for row in rows} == {path.stat().st_size}
    assert found["transfer"] == pytest.approx(np.mean([r["accuracy_mean"] for r in rows[:2]]))
    assert all("random_images_same_bytes" not in row for row in rows)
    assert rows[2]["accuracy_mean"] > 0.5  # the file teaches, by SGD too
    assert rows[0]["accuracy_mean"] > 0.2
    # The same network by the recipe of the file, in as many steps.
    fast = on_file(ds, replace(trial, recipe=replace(trial.recipe, steps=10)))
    assert rows[3]["per_net"] == list(fast.per_net)


def test_the_mean_leaves_out_the_own_network() -> None:
    def row(mean: float, own: bool, kind: str = "network") -> dict[str, Any]:
        return {"accuracy_mean": mean, "own": own, "kind": kind}

    rows = [row(0.5, False), row(0.9, True), row(0.7, False), row(0.1, True, "sgd")]
    assert transfer(rows) == pytest.approx(0.6)
    assert transfer(rows[1:2]) is None


def test_a_convnet_of_the_same_depth_and_norm_is_the_own_one(path: Path, digits: Source) -> None:
    trial = trial_of(path, digits)
    trial = replace(trial, recipe=replace(trial.recipe, depth=3))
    found = across_networks(load(path), trial, ["convnet3", "convnet3-in"], steps=1)
    assert [row["own"] for row in found["rows"]] == [False, True, True, True]
    assert found["transfer"] == found["rows"][0]["accuracy_mean"]


def test_real_images_stand_beside_and_whoever_learns_less_is_named(
    path: Path, digits: Source
) -> None:
    trial = trial_of(path, digits)
    rows = across_networks(load(path), trial, ["mlp"], steps=3, source=digits)["rows"]
    assert rows[0]["random_images_same_bytes"]["bytes"] <= path.stat().st_size
    assert rows[1]["random_images_same_bytes"] is None
    score = rows[0]["random_images_same_bytes"]["accuracy_mean"]
    assert learn_less([rows[0] | {"accuracy_mean": score - 0.01}, *rows[1:]]) == ["mlp"]
    assert learn_less([rows[0] | {"accuracy_mean": score}]) == []


def test_networks_that_were_kept_are_not_trained_again(path: Path, digits: Source) -> None:
    ds, kept = load(path), Kept()
    trial = replace(trial_of(path, digits), finished=kept)
    first = across_networks(ds, trial, ["mlp"], steps=2)
    assert len(kept.parts) == 3
    again = across_networks(ds, trial, ["mlp", "convnet3"], steps=2)
    assert len(kept.parts) == 4
    assert again["rows"][0] == first["rows"][0]


def test_batch_norm_of_one_image_is_refused_and_other_norms_are_not(tmp_path: Path) -> None:
    images = np.zeros((1, 1, 8, 8), np.uint8)
    ddcodec.pack(images, np.array([[0.5, 0.5]], np.float32), ["a", "b"], tmp_path / "one.ddset")
    ds = load(tmp_path / "one.ddset")
    test = (np.zeros((2, 8, 8, 1), np.uint8), np.array([0, 1]))
    trial = protocol(ds, ddcodec.sources.Split(*test), nets=1, steps=1, device="cpu")
    with pytest.raises(UsageError, match="resnet18 has batch norm, which needs two images"):
        across_networks(ds, trial, ["mlp", "resnet18"], steps=1)
    rows = across_networks(ds, trial, ["mlp", "convnet3-in"], steps=1)["rows"]
    assert len(rows) == 4
