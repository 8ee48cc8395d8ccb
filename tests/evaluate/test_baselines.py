"""What else the same pixels or bytes could hold, and how well it teaches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ddcodec import DistilledDataset, encode, load
from ddcodec.evaluate.baselines import ahead_of, baselines, stored_pixels
from ddcodec.evaluate.measure import protocol
from ddcodec.evaluate.measure import test_split as split_for
from ddcodec.judge.recipe import Recipe, batch_for
from ddcodec.sources import Source
from tests.helpers.lines import lines


@pytest.fixture(scope="module")
def ds(tmp_path_factory: pytest.TempPathFactory, rows_and_columns: Source) -> DistilledDataset:
    path: Path = tmp_path_factory.mktemp("lines") / "lines.ddset"
    encode(rows_and_columns, ipc=1.0, out=path, steps=2)
    return load(path)


def test_every_baseline_learns_what_is_easy(ds: DistilledDataset, rows_and_columns: Source) -> None:
    test = split_for(ds, rows_and_columns)
    trial = protocol(ds, test, nets=2, steps=30, device="cpu")
    found = baselines(trial, ds, rows_and_columns, full_steps=20)
    pixels = [f"{kind}_same_pixels" for kind in (*KINDS, "herding", "k_centres")]
    in_bytes = [f"{kind}_same_bytes" for kind in (*KINDS, "quantised_network")]
    assert list(found) == [*pixels, *in_bytes, "full_data"]
    for name, entry in found.items():
        assert entry["accuracy_mean"] > 0.95, name
        if name == "quantised_network_same_bytes":
            assert entry["bytes"] <= ds.file.sizes.total
            continue
        height, width = entry["stored_size"]
        assert entry["pixels"] == 2 * entry["images_per_class"] * height * width
        if name.endswith("same_pixels"):
            assert entry["pixels"] <= stored_pixels(ds)
        if name.endswith("same_bytes"):
            assert entry["bytes"] <= ds.file.sizes.total
    assert found["full_data"]["bytes"] == 32 * 64 + 32


KINDS = ("random_images", "class_means")


@pytest.mark.parametrize(
    ("batch", "images", "passes", "expected"),
    [(18, 700, 20, 140), (18, 700, 0, 18), (18, 80, 20, 18), (18, 9000, 20, 256), (500, 9, 1, 500)],
)
def test_batches_grow_until_every_image_is_seen_often_enough(
    ds: DistilledDataset, batch: int, images: int, passes: int, expected: int
) -> None:
    recipe = replace(Recipe.of(ds.manifest), steps=100, batch_size=batch)
    assert batch_for(recipe, images, passes) == expected


def test_the_same_seed_gives_the_same_figures(ds: DistilledDataset) -> None:
    hard = lines(noise=90)
    first, again, other = (
        baselines(
            protocol(ds, hard.require_test(), nets=2, steps=2, seed=seed, device="cpu"),
            ds,
            hard,
            full_steps=1,
        )
        for seed in (0, 0, 1)
    )
    for report in (first, again, other):
        report["quantised_network_same_bytes"]["seconds"] = 0
    assert first == again
    assert first != other


def test_what_is_ahead_of_a_file_is_named_best_first_and_all_images_never() -> None:
    entries = {
        name: {"accuracy_mean": mean}
        for name, mean in (("a", 0.5), ("b", 0.4), ("c", None), ("d", 0.9), ("full_data", 1.0))
    }
    assert ahead_of(0.4, entries) == ["d", "a"]
    assert ahead_of(0.9, entries) == []
