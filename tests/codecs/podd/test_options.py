"""What a user chooses of a poster encode: refused early, and said again in the file's command."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from ddcodec_cli.app import app

from ddcodec import UsageError
from ddcodec.codecs.podd import plan as planning
from ddcodec.codecs.podd.options import NAMES, PoDDOptions
from ddcodec.codecs.podd.order import ClassOrder, order_classes
from ddcodec.codecs.podd.plan import make_plan, orders
from tests.helpers.plans import noise_source, plan


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"profile": "slow"}, "--profile slow is unknown; use one of: paper, quick"),
        ({"labels": "soft"}, "--labels soft is unknown"),
        (
            {"label_pooling": "mean"},
            "--label-pooling mean is unknown; use one of: auto, area, cell",
        ),
        ({"origins": "odd"}, "--origins odd is unknown"),
        ({"augment": "spin"}, "--augment spin is unknown"),
        ({"preprocessing": "zca"}, "--preprocessing zca is unknown"),
        ({"aware": 1.5}, "--aware is a share of the steps, 0 to 1, got 1.5"),
    ],
)
def test_a_choice_that_no_data_set_could_take_is_refused(choice: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        PoDDOptions(**choice)


def test_the_command_of_a_file_has_what_differs_from_the_defaults() -> None:
    assert PoDDOptions().words() == ["--profile", "quick"]
    options = PoDDOptions(
        order="lists/my order.txt",
        class_grid=(5, 2),
        label_pooling="area",
        patches=(9, 2),
        quality="bits=4",
        aware=0.0,
        size=1_234_567,
        steps=7,
        seed=3,
    )
    assert options.words() == shlex.split(
        "--profile quick --order 'my order.txt' --class-grid 5x2 --label-pooling area "
        "--patches 9x2 --quality bits=4 --aware 0 --size 1234567"
    )
    made = plan(10, (8, 8), ipc=0.5, seed=3, quality="small")
    assert shlex.split(made.command(40)) == shlex.split(
        "ddcodec encode noise --ipc 0.5 --steps 40 --seed 3 --profile quick --order given "
        "--quality small"
    )


def test_every_choice_is_an_option_of_the_command_line() -> None:
    import typer

    command = typer.main.get_command(app).commands["encode"]  # type: ignore[attr-defined]
    known = {word for parameter in command.params for word in parameter.opts}
    fields = PoDDOptions.__dataclass_fields__
    wanted = {"--" + NAMES.get(name, name).replace("_", "-") for name in fields}
    assert wanted <= known


def test_a_class_order_is_made_once_for_plans_of_many_sizes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[tuple[int, int]] = []

    def counted(rule: str, source: Any, grid: tuple[int, int], **settings: Any) -> ClassOrder:
        made.append(grid)
        return order_classes(rule, source, grid, **settings)

    monkeypatch.setattr(planning, "order_classes", counted)
    source, options = noise_source(10, 8, 8), PoDDOptions(order="image")
    ordered = orders(source, options)
    plans = [make_plan(source, ipc, options, ordered=ordered) for ipc in (0.5, 0.7, 1.0, 2.0)]
    assert made == [(5, 2)]
    assert len({p.order for p in plans}) == 1


@pytest.mark.parametrize("profile", ["quick", "paper"])
def test_a_patch_has_one_label_cell_wherever_every_class_has_one(profile: str) -> None:
    params = plan(10, (32, 32), ipc=0.4, profile=profile).params
    assert params.label_pooling == "cell"
    few = plan(10, (8, 8), ipc=0.5, profile=profile, patches=(4, 2)).params
    assert (few.class_grid, few.label_pooling) == ((5, 2), "area")
