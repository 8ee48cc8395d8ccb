"""Students that learn from a file alone, and the baselines beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddcodec import (
    DistilledDataset,
    InvalidFile,
    SourceError,
    Unsupported,
    UsageError,
    encode,
    load,
)
from ddcodec.coresets.budgets import coded_bytes
from ddcodec.coresets.draws import images_by_class, random_draw
from ddcodec.evaluate.baselines import baselines
from ddcodec.evaluate.measure import protocol, train_students
from ddcodec.evaluate.measure import test_split as split_for
from ddcodec.format import restate
from ddcodec.judge.recipe import Recipe
from ddcodec.judge.trial import Accuracy
from ddcodec.sources import Source, Split


def stripes(seed: int = 0, test: bool = True, classes: int = 2) -> Source:
    """Horizontal against vertical stripes, of any phase: easy, and learned from shape alone."""
    random = np.random.default_rng(seed)

    def split(count: int) -> Split:
        labels = np.arange(count) % classes
        along = np.arange(8)[:, None] * np.ones(8, dtype=int)
        images = np.stack([
            np.where((along.T if label == 1 else along) // 2 % 2, 220, 30) + label * 5
            for label in labels
        ])  # fmt: skip
        noisy = np.clip(images + random.normal(0, 20, images.shape), 0, 255)
        return Split(noisy.astype(np.uint8)[..., None], labels.astype(np.int64))

    names = tuple(f"stripe {i}" for i in range(classes))
    splits = {"train": lambda: split(60)}
    return Source("stripes", names, splits | ({"test": lambda: split(40)} if test else {}))


def measured(ds: DistilledDataset, source: Source, **settings: int) -> Accuracy:
    return train_students(ds, split_for(ds, source), **settings)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stripes") / "stripes.ddset"
    encode(stripes(), ipc=1.0, out=path, steps=20)
    return path


def test_students_learn_an_easy_set(path: Path) -> None:
    ds, source = load(path), stripes(seed=1)
    result = measured(ds, source, nets=3, steps=30)
    assert result.mean > 0.95
    assert (result.nets, result.steps, len(result.per_net)) == (3, 30, 3)
    assert result.mean == pytest.approx(np.mean(result.per_net))
    assert result.std == pytest.approx(np.std(result.per_net))


def test_labels_that_lie_teach_the_lie(path: Path) -> None:
    """The students see the file, nothing else: with its labels swapped they fail."""
    ds = load(path)
    ds.soft_labels.copy_(ds.soft_labels.flip(1))
    result = measured(ds, stripes(seed=1), nets=2, steps=30)
    assert result.mean < 0.05


def test_the_same_seed_gives_the_same_accuracy(path: Path) -> None:
    ds, source = load(path), stripes(seed=1)
    first, again, other = (measured(ds, source, nets=2, steps=2, seed=s).per_net for s in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize("arguments", [{"nets": 0}, {"steps": 0}, {"seed": -1}])
def test_arguments_out_of_range_are_refused(path: Path, arguments: dict[str, int]) -> None:
    ds = load(path)
    with pytest.raises(UsageError, match=next(iter(arguments))):
        measured(ds, stripes(), **{"nets": 1, **arguments})


def test_other_data_are_refused(path: Path, digits: Source) -> None:
    ds = load(path)
    with pytest.raises(UsageError, match="has 10 classes, the file 2"):
        split_for(ds, digits)
    with pytest.raises(SourceError, match="no test split"):
        split_for(ds, stripes(test=False))


def test_baselines_keep_to_their_budgets(path: Path) -> None:
    ds, source = load(path), stripes()
    trial = protocol(ds, split_for(ds, source), nets=2, steps=10)
    found = baselines(trial, ds, source, full_steps=10)
    pixels, size = ds.file.arrays["poster"][0].size, ds.file.sizes.total
    for name, entry in found.items():
        assert 0 <= entry["accuracy_mean"] <= 1
        if name.endswith("same_pixels"):
            assert entry["pixels"] <= pixels
        elif name.endswith("same_bytes"):
            assert entry["bytes"] <= size
    assert found["full_data"]["pixels"] == 60 * 64
    assert found["full_data"]["accuracy_mean"] > 0.9


def test_a_draw_is_of_its_class_and_its_size_is_counted() -> None:
    by_class = images_by_class(stripes())
    draw = random_draw(by_class, 0)(5, 1)
    assert draw.shape == (2, 5, 8, 8, 1)
    for label, images in enumerate(draw):
        pool = {image.tobytes() for image in by_class[label]}
        assert all(image.tobytes() in pool for image in images)
        assert len({image.tobytes() for image in images}) == 5
    flat = draw.reshape(-1, 8, 8, 1)
    assert coded_bytes(flat, 2) > coded_bytes(flat[:4], 2) > 0
    assert np.array_equal(draw[:, :3], random_draw(by_class, 0)(3, 1))


def test_a_recipe_with_decay_and_falling_rate_is_followed(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.ddset"
    copy.write_bytes(path.read_bytes())
    recipe = load(path).manifest.recipe | {
        "optimizer": {"name": "adamw", "lr": 0.01, "weight_decay": 0.1},
        "schedule": "multistep",
        "steps": 12,
        "augment": "dsa",
    }
    restate(copy, recipe=recipe)
    found = Recipe.of(load(copy).manifest)
    assert [found.rate(step) for step in (0, 7, 8, 9, 10, 11)] == pytest.approx(
        [0.01, 0.01, 0.002, 0.002, 0.0004, 0.0004]
    )
    assert (found.weight_decay, found.augment) == (0.1, "dsa")
    constant = Recipe.of(load(path).manifest)
    assert constant.rate(0) == constant.rate(10**6) == constant.lr
    result = measured(load(copy), stripes(seed=1), nets=1)
    assert result.steps == 12


def test_the_published_recipe_of_sgd_is_followed(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.ddset"
    copy.write_bytes(path.read_bytes())
    recipe = load(path).manifest.recipe | {
        "optimizer": {"name": "sgd", "lr": 0.01, "weight_decay": 0.0005},
        "schedule": "half",
        "steps": 4,
    }
    restate(copy, recipe=recipe)
    found = Recipe.of(load(copy).manifest)
    assert [found.rate(step) for step in range(4)] == pytest.approx([0.01, 0.01, 0.001, 0.001])
    assert (found.optimizer, found.weight_decay) == ("sgd", 0.0005)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schedule": "cyclic"}, "schedule cyclic"),
        ({"augment": "mixup"}, "augmentation mixup"),
        ({"loss": "mse"}, "loss mse"),
        ({"optimizer": {"name": "lion", "lr": 0.1}}, "optimizer lion"),
    ],
)
def test_a_recipe_of_a_later_version_is_unsupported(
    path: Path, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    copy = tmp_path / "copy.ddset"
    copy.write_bytes(path.read_bytes())
    restate(copy, recipe=load(path).manifest.recipe | change)
    with pytest.raises(Unsupported, match=f"asks for {words}; this version knows"):
        Recipe.of(load(copy).manifest)


def test_weight_decay_of_plain_adam_is_refused(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.ddset"
    copy.write_bytes(path.read_bytes())
    wrong = {"optimizer": {"name": "adam", "lr": 0.1, "weight_decay": 0.1}}
    with pytest.raises(InvalidFile, match="adam has no weight_decay"):
        restate(copy, recipe=load(path).manifest.recipe | wrong)
