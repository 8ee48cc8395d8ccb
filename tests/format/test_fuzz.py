"""A bounded run of the fuzzer, and everything that it ever found."""

from __future__ import annotations

import random
import runpy
from collections import Counter
from pathlib import Path

import pytest

from tests.helpers.hostile import CODES

FOLDER = Path(__file__).parents[1] / "fuzz"
FUZZ = runpy.run_path(str(FOLDER / "fuzz_reader.py"))
FOUND = sorted((FOLDER / "corpus").glob("*.ddset"))


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 4))]
)
def test_nothing_but_our_errors_comes_out(seed: int) -> None:
    seeds = [path.read_bytes() for path in sorted(FUZZ["VECTORS"].glob("valid/*.ddset"))]
    rng = random.Random(seed)
    outcomes = Counter(FUZZ["one"](FUZZ["mutated"](seeds, rng)) for _ in range(2500))
    assert set(outcomes) <= CODES | {"read", "unsupported"}
    # The mutations reach every stage of the reader, not its first lines alone.
    assert {"DDS-E003", "DDS-E006", "DDS-E010", "DDS-E013", "DDS-E024", "DDS-E032"} <= set(outcomes)


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_what_was_found_once_stays_fixed(path: Path) -> None:
    assert FUZZ["one"](path.read_bytes()) in CODES | {"read", "unsupported"}
