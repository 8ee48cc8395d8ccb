"""What fills a number of bytes: found in few tries, never too large, whatever sizes turn out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ddcodec import UsageError
from ddcodec.codecs.lic.budget import LEAST_QUALITY, MOST_QUALITY, QUALITY, Budget
from ddcodec.codecs.lic.expected import Choice
from ddcodec.codecs.lic.in_bytes import fill, tell
from ddcodec.runtime.ranks import Ranks
from tests.helpers.reporters import Notes


class Linear:
    """Choices that take so many bytes for a mosaic a class at each quality."""

    def __init__(self, each: float = 100, most: int = 1000, free: bool = True) -> None:
        self.each, self.most, self.free, self.quality = each, most, free, 0

    def bytes(self, choice: Choice) -> int:
        finer = 1.02 ** (choice.quality - QUALITY) if self.free else 1
        return 1 + round(self.each * choice.ipc * finer)


@pytest.mark.parametrize(
    ("total", "wanted"),
    [
        (1000, None),  # less than one a class at the least quality
        (1085, Choice(1, 41)),
        (1102, Choice(1, QUALITY)),
        (1204, Choice(2, QUALITY)),
        (1350, Choice(3, 57)),
        (3000, Choice(19, 52)),
        (10**9, Choice(12, MOST_QUALITY)),
    ],
)
def test_images_are_counted_first_and_then_made_finer(total: int, wanted: Choice | None) -> None:
    budget = Budget(total, Linear(most=1000 if total < 10**6 else 12), 1000)
    assert budget.best() == wanted
    assert budget.least == Choice(1, LEAST_QUALITY)
    if wanted is None:
        with pytest.raises(UsageError, match=r"`total_bytes`=1000 is too few: .* about 1083"):
            budget.require_least()
    else:
        assert budget.require_least() == 1083


def test_exact_images_are_only_counted() -> None:
    budget = Budget(1999, Linear(300, free=False), 1000)
    assert budget.best() == budget.least._replace(ipc=3)
    assert budget.least == Choice(1, 0)
    assert Budget(1100, Linear(300, free=False), 1000).best() is None


def test_more_images_may_take_fewer_bytes() -> None:
    class Uneven(Linear):
        def bytes(self, choice: Choice) -> int:
            return super().bytes(choice) + (300 if choice.ipc in (6, 9) else 0)

    for total, ipc in ((1710, 7), (1610, 5), (2010, 10), (1910, 8)):
        assert Budget(total, Uneven(free=False), 1000).best() == Choice(ipc, 0)
    assert Budget(1710, Uneven(free=False, most=6), 1000).best() == Choice(5, 0)


def test_images_that_no_picture_holds_do_not_fit() -> None:
    class Bounded(Linear):
        def bytes(self, choice: Choice) -> int:
            if choice.ipc > 5:
                raise UsageError("too large for one picture")
            return super().bytes(choice)

    assert Budget(10**6, Bounded(), 1000).best() == Choice(5, MOST_QUALITY)


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        (Choice(1, 55), "one more a class does not fit at quality 50"),
        (
            Choice(1, 65),
            "one more a class does not fit at quality 50, and no image is stored above quality 65",
        ),
        (Choice(300, 60), "the smallest class has no more images"),
    ],
)
def test_why_bytes_stay_free_is_said(choice: Choice, why: str) -> None:
    sizes, heard = Linear(most=300), Notes()
    budget = Budget(2000, sizes, 1000)
    budget.learn(choice, 1500)
    tell(heard, budget, sizes)
    assert heard.said[-1] == f"500 of `total_bytes`=2000 stay free: {why}"


@given(
    total=st.integers(1100, 10**6),
    each=st.floats(1, 5000),
    free=st.booleans(),
    factor=st.floats(0.5, 2),
    more=st.integers(-500, 500),
    seed=st.integers(0, 9),
)
@example(total=1100, each=1.0, free=False, factor=1.2890625, more=-253, seed=9)
def test_what_is_kept_fits_and_few_files_are_made(
    tmp_path_factory: pytest.TempPathFactory,
    total: int,
    each: float,
    free: bool,
    factor: float,
    more: int,
    seed: int,
) -> None:
    expected = Linear(each, free=free)
    budget = Budget(total, expected, 1000)
    noise = np.random.default_rng(seed)
    sizes: dict[Path, int] = {}

    def make(choice: Choice, out: Path) -> None:
        assert out not in sizes
        size = 1000 + more + factor * expected.bytes(choice) * noise.uniform(0.995, 1.005)
        sizes[out] = int(size)
        with out.open("wb") as file:
            file.truncate(sizes[out])

    best = fill(budget, tmp_path_factory.mktemp("files"), Ranks(), make)
    assert len(sizes) <= 12
    fitting = {out: size for out, size in sizes.items() if size <= total}
    if best is None:
        assert not fitting
        with pytest.raises(UsageError, match="too few"):
            budget.require_least()
        return
    assert fitting[best] == max(fitting.values())
    assert budget.made() is not None
    # Of one file that fits it is not known what of it is more than was thought to be fixed.
    one_more = factor * each + max(0, more)
    all_there_are = any(out.name.startswith(f"{expected.most}-") for out in sizes)
    assert total - fitting[best] <= one_more + 0.05 * total or all_there_are


def test_a_file_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    made: list[str] = []

    def make(choice: Choice, out: Path) -> None:
        made.append(out.name)
        out.write_bytes(bytes(1000 + 110 * choice.ipc))

    for _ in range(2):
        best = fill(Budget(2000, Linear(free=False), 1000), tmp_path, Ranks(), make)
        assert best == tmp_path / "9-0.ddset"
    assert made == ["9-0.ddset"]
