"""Steps by the clock: a machine that becomes slow or fast changes their number, not the time."""

from __future__ import annotations

import pytest

from ddcodec.codecs.podd import pace as module
from ddcodec.codecs.podd.pace import FEW, KERNEL_TIME, UNROLLED, Pace, affordable, fastest_threads
from ddcodec.codecs.podd.plan import Plan
from tests.helpers.plans import plan


class Clock:
    """A clock that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)


def run(clock: Clock, pace: Pace, costs: list[float], decay: float) -> int:
    """Take steps of these costs, the last one again and again; return how many the stage has."""
    step, length = 0, None
    while length is None or step < length:
        clock.now += costs[min(step, len(costs) - 1)]
        step += 1
        if length is None:
            length = pace.length(step, decay)
    return length


@pytest.mark.parametrize("decay", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("cost", [0.01, 0.7, 30.0])
def test_a_stage_fills_its_time(cost: float, decay: float, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pace = Pace(clock.now + 100, 100)
    pace.begin(1.0)
    steps = run(clock, pace, [cost], decay)
    assert steps >= 1
    if decay < 1:
        assert clock.now <= 1100 + 2 * cost
        assert clock.now >= 1100 - 2 * cost


def test_a_machine_that_becomes_slow_takes_fewer_steps_in_the_same_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    pace = Pace(clock.now + 100, 100)
    pace.begin(1.0)
    steps = run(clock, pace, [0.1] * 200 + [1.0], 0.4)
    assert steps < 400  # 1,000 at the first cost
    assert clock.now < pace.deadline + 60  # what the loop itself cuts off
    pace = Pace(clock.now + 100, 100)
    pace.begin(1.0)
    began = clock.now
    steps = run(clock, pace, [1.0] * 30 + [0.1], 0.4)
    assert steps > 300  # 100 at the first cost
    assert abs(clock.now - began - 100) < 10


def test_the_kernel_stage_has_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pace = Pace(clock.now + 100, 100)
    pace.begin(KERNEL_TIME)
    run(clock, pace, [0.1], 0.4)
    assert clock.now == pytest.approx(1000 + 100 * KERNEL_TIME, abs=1)
    pace.begin(1.0)
    run(clock, pace, [0.1], 0.4)
    assert clock.now == pytest.approx(1100, abs=1)


def quick() -> Plan:
    return plan(4, (8, 8), profile="quick", steps=None)


def test_slower_machines_take_cheaper_steps() -> None:
    kinds = []
    for cost in (0.01, 0.1, 0.5, 5.0, 60.0):
        found = affordable(quick(), cost / 10, cost, 60.0)
        last = found.stages[-1]
        if last.method == "pool":
            kinds.append((last.width, last.window))
            assert last.steps * cost * last.width * last.window / 320 <= 60
        else:
            assert len(found.stages) == 1  # nothing but kernel steps is worth while
            kinds.append((0, 0))
    assert kinds == sorted(kinds, reverse=True)
    assert kinds[0] == UNROLLED[0][:2]
    assert kinds[-1] == (0, 0)
    assert UNROLLED[0][2] > FEW


def test_what_is_asked_for_is_not_made_cheaper() -> None:
    asked = plan(4, (8, 8), profile="quick", steps=None, window=30, width=48)
    last = affordable(asked, 1.0, 1.0, 600.0).stages[-1]
    assert (last.width, last.window) == (48, 30)


def test_steps_that_see_rounding_are_not_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage is fixed before the first step that differs by how many there are."""
    clock = Clock(monkeypatch)
    for share in (0.25, 0.5, 0.75):
        pace = Pace(clock.now + 100, 100)
        pace.begin(1.0)
        step, length = 0, None
        while length is None:
            clock.now, step = clock.now + 1, step + 1
            length = pace.length(step, share)
        assert step <= round((1 - share) * length)


@pytest.mark.parametrize(
    ("costs", "several", "asked", "found", "tried"),
    [
        ({None: 1.0, 4: 2.0}, 8, None, None, [None, 4]),
        ({None: 4.0, 4: 2.0, 2: 1.0, 1: 1.5}, 8, None, 2, [None, 4, 2, 1]),
        ({None: 6.0, 1: 2.0}, 2, None, 1, [None, 1]),
        ({None: 6.0, 1: 2.0}, 3, None, 1, [None, 1]),
        ({None: 1.0}, 1, None, None, [None]),
        ({3: 1.0}, 1, 3, 3, [3]),
    ],
)
def test_threads_are_halved_as_long_as_that_pays(
    costs: dict[int | None, float],
    several: int,
    asked: int | None,
    found: int | None,
    tried: list[int | None],
) -> None:
    seen = []

    def seconds(threads: int | None) -> float:
        seen.append(threads)
        return costs[threads]

    assert fastest_threads(seconds, several, asked) == (found, costs[found])
    assert seen == tried
