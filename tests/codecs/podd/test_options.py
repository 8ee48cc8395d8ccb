"""What a user chooses of a poster encode: refused early, and said again in the file's command."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from ddcodec import PoDD, PPoDD, UsageError, encode
from ddcodec.codecs.podd import planning
from ddcodec.codecs.podd.order import ClassOrder, order_classes
from ddcodec.codecs.podd.planning import make_plan, orders, recorded, settled
from ddcodec.sources import Source
from tests.helpers.plans import noise_source, plan, request_for


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"profile": "slow"}, "`profile` must be one of auto, quick, paper, got 'slow'"),
        ({"labels": "soft"}, "`labels` must be one of auto, fixed, learned"),
        ({"label_pooling": "mean"}, "`label_pooling` must be one of auto, area, cell"),
        ({"origins": "odd"}, "`origins` must be one of even, per-class"),
        ({"preprocessing": "zca"}, "`preprocessing` must be one of auto, none"),
        ({"aware": 1.5}, "`aware` must be from 0 to 1, got 1.5"),
        ({"patches": (3, 0)}, "`patches` must be a pair of whole numbers, both at least 1"),
    ],
)
def test_a_choice_that_no_data_set_could_take_is_refused(choice: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        PoDD(ipc=1, **choice)
    assert said in str(caught.value)


def test_an_unknown_augmentation_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"`augment` must be one of .*flip_rotate.* got 'spin'"):
        plan(10, (8, 8), augment="spin")


def test_the_command_of_a_file_has_what_differs_from_the_defaults() -> None:
    made = plan(10, (8, 8), ipc=0.5, seed=3, quality="bits=5")
    assert shlex.split(made.command(40)) == shlex.split(
        "ddcodec encode noise --ipc 0.5 --steps 40 --seed 3 --profile quick --order given "
        "--quality bits=5"
    )


def test_a_command_says_all_that_was_chosen_and_of_a_path_its_name(tmp_path: Path) -> None:
    source = noise_source(10, 8, 8)
    (tmp_path / "my order.txt").write_text("\n".join(source.classes))
    options = PoDD(
        ipc=1,
        profile="quick",
        order=str(tmp_path / "my order.txt"),
        class_grid=(5, 2),
        label_pooling="area",
        patches=(9, 2),
        quality="bits=4",
        aware=0.0,
        steps=7,
    )
    made = make_plan(source, 1, options, request_for(source, size=1_234_567))
    assert shlex.split(made.command(7))[5:] == shlex.split(
        "--steps 7 --profile quick --order 'my order.txt' --class-grid 5x2 --label-pooling area "
        "--patches 9x2 --quality bits=4 --aware 0 --size 1234567"
    )


def test_a_class_order_is_made_once_for_plans_of_many_sizes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[tuple[int, int]] = []

    def counted(rule: str, source: Any, grid: tuple[int, int], **settings: Any) -> ClassOrder:
        made.append(grid)
        return order_classes(rule, source, grid, **settings)

    monkeypatch.setattr(planning, "order_classes", counted)
    source = noise_source(10, 8, 8)
    request = request_for(source)
    options = settled(PoDD(total_bytes=2000, order="image"), request.device)
    ordered = orders(source, options, seed=0)
    plans = [make_plan(source, ipc, options, request, ordered) for ipc in (0.5, 0.7, 1.0, 2.0)]
    assert made == [(5, 2)]
    assert len({p.order for p in plans}) == 1


@pytest.mark.parametrize(
    ("kind", "given", "quality"),
    [
        (PoDD, {"ipc": 1.0, "profile": "quick"}, "small"),
        (PoDD, {"ipc": 1.0, "profile": "paper"}, "high"),
        (PoDD, {"ipc": 1.0, "profile": "quick", "init": Path("x.ddset")}, "high"),
        (PoDD, {"total_bytes": 2000, "profile": "quick"}, "bits=3"),
        (PoDD, {"total_bytes": 2000, "profile": "paper"}, "bits=3"),
        (PPoDD, {"ipc": 1.0, "profile": "quick"}, "high"),
    ],
)
def test_a_command_names_the_precision_where_it_is_not_the_usual_one(
    kind: type[Any], given: dict[str, Any], quality: str
) -> None:
    request = request_for(noise_source(2, 8, 8))
    for asked in (None, "small", "high", "bits=3"):
        options = settled(kind(**given, quality=asked), request.device)
        assert options.quality == (asked or quality)
        said = recorded(1.0, options, request)["quality"]
        assert said == (None if options.quality == quality else asked)


@pytest.mark.parametrize("profile", ["quick", "paper"])
def test_a_patch_has_one_label_cell_wherever_every_class_has_one(profile: str) -> None:
    assert plan(10, (32, 32), ipc=0.4, profile=profile).label_pooling == "cell"
    few = plan(10, (8, 8), ipc=0.5, profile=profile, patches=(4, 2))
    assert (few.order.grid, few.label_pooling) == ((5, 2), "area")


def test_a_budget_of_more_than_the_source_is_refused(digits: Source, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`ipc`=1000: the source itself has 140 images per class"):
        encode(digits, ipc=1000, out=tmp_path / "x.ddset", steps=1)
    with pytest.raises(UsageError, match="`ipc` must be more than 0, got -1"):
        encode(tmp_path / "absent.npz", ipc=-1, out=tmp_path / "x.ddset")
    with pytest.raises(UsageError, match="`quality` must be lossless, high, small or bits=N"):
        encode(tmp_path / "absent.npz", ipc=1, quality="hihg", out=tmp_path / "x.ddset")
