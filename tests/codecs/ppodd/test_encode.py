"""P-PoDD: stages are weighted as printed, frozen once done, stored in few bytes, drawn by share."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcodec import OutputError, PPoDD, UsageError, encode, info, load, verify
from ddcodec.codecs.podd.poster import PosterGeometry
from ddcodec.codecs.podd.stored import StoredBits
from ddcodec.codecs.ppodd.pack import pack_stages, pack_within
from ddcodec.codecs.ppodd.stages import added, stage_arrays, stage_weights
from ddcodec.codecs.ppodd.variables import StagedVariables
from ddcodec.format import Storage, read
from ddcodec.format.payload import encode_tensor
from ddcodec.runtime.rng import apportion, epoch_order
from ddcodec.sources import Source
from tests.helpers.plans import numbers_of
from tests.helpers.reporters import StopAfter

accuracies = st.lists(st.floats(0, 1), min_size=1, max_size=8)
QUICK: dict[str, Any] = {"codec": "ppodd", "ipc": 0.4, "profile": "quick"}


def test_the_dynamic_stage_weight_is_that_of_algorithm_1() -> None:
    found = stage_weights([0.5, 0.4], 3)
    a = [0.5 + 1e-5, 0.4 + 1e-5, 0.9 * 0.4 + 1e-5]
    pi = [a[t] / sum(a) * math.exp(-0.5 * t) for t in range(3)]
    pi[2] *= 1.5
    pi = [max(p, 0.1 / 3) for p in pi]
    assert found == pytest.approx([p / sum(pi) for p in pi])
    recent = stage_weights([0.5, 0.5], 2, direction="recent", boost=1, floor=0)
    assert recent == pytest.approx(stage_weights([0.5, 0.5], 2, boost=1, floor=0)[::-1])
    assert stage_weights([], 1) == [1.0]


@given(
    accuracies, st.booleans(), st.floats(0, 3), st.floats(0, 3), st.floats(0.01, 1), st.booleans()
)
def test_weights_are_shares_and_no_stage_is_lost(
    given_: list[float], newest: bool, decay: float, boost: float, floor: float, recent: bool
) -> None:
    stages = len(given_) + (1 if newest else 0)
    direction: Any = "recent" if recent else "as-printed"
    shares = stage_weights(
        given_, stages, decay=decay, boost=boost, floor=floor, direction=direction
    )
    assert len(shares) == stages
    assert sum(shares) == pytest.approx(1)
    largest = 1 + boost + floor
    assert stages == 1 or min(shares) >= floor / stages / (stages * largest) - 1e-12


def test_a_floor_keeps_weak_stages_and_a_boost_lifts_the_newest() -> None:
    plain = stage_weights([0.5] * 5, 5, boost=1, floor=0)
    assert stage_weights([0.5] * 5, 5, boost=1.5, floor=0)[-1] > plain[-1]
    assert stage_weights([0.5] * 5, 5, boost=1, floor=0.5)[-1] > plain[-1]
    assert stage_weights([0.9, 0.0, 0.0], 3)[1] > 0


@given(st.integers(1, 500), st.lists(st.floats(0.01, 1), min_size=1, max_size=9))
def test_apportioned_numbers_are_near_their_shares(count: int, shares: list[float]) -> None:
    parts = apportion(count, shares)
    assert sum(parts) == count
    for part, share in zip(parts, shares, strict=True):
        assert abs(part - count * share / sum(shares)) < 1


@given(st.integers(1, 12), st.lists(st.floats(0.01, 1), min_size=2, max_size=5), st.integers(0, 9))
def test_an_epoch_draws_each_stage_by_its_share(size: int, shares: list[float], epoch: int) -> None:
    count = size * len(shares)
    order = epoch_order(count, 1, epoch, shares)
    assert order.tolist() == epoch_order(count, 1, epoch, shares).tolist()
    drawn = torch.bincount(order // size, minlength=len(shares)).tolist()
    assert drawn == apportion(count, shares)
    for stage in range(len(shares)):
        times = Counter(order[order // size == stage].tolist())
        # No patch comes again before all others of its stage have come.
        assert len(times) == min(size, drawn[stage])
        assert not times or max(times.values()) - min(times.values()) <= 1


def staged(count: int = 3, floor: float = 0.2) -> StagedVariables:
    geometry = PosterGeometry(6, 9, 4, 4, 5, 2)
    g = torch.Generator().manual_seed(0)
    variables = StagedVariables(
        geometry,
        torch.randn(1, 6, 9, generator=g),
        label_array=np.eye(10, dtype=np.float32),
        weights=np.eye(10),
        owners=np.arange(10),
        label_floor=floor,
    )
    for stage in range(1, count):
        variables.freeze(0.5, StoredBits(None, None))
        shares = stage_weights([0.5] * stage, stage + 1)
        poster, labels = torch.randn(1, 6, 9, generator=g), torch.rand(10, 10, generator=g)
        variables.begin({"poster": poster, "labels": labels}, shares)
    return variables


def test_only_the_newest_stage_learns() -> None:
    variables = staged()
    patches, labels = variables.expand()
    assert patches.shape == (30, 1, 4, 4)
    assert torch.equal(patches[20:], variables.patches())
    assert torch.equal(labels[20:], variables.labels())
    gradient = torch.zeros_like(patches)
    gradient[:20] = 7
    back = variables.pull_back(gradient, torch.ones_like(labels))
    assert float(back[0].abs().max()) == 0
    assert torch.equal(patches[:10], variables._old[0][0])


def test_inner_batches_take_each_stage_by_its_share_and_no_patch_twice() -> None:
    variables = staged()
    draws = variables.draw(0, 3000, torch.Generator().manual_seed(1))
    counts = torch.zeros(3)
    for draw in draws:
        assert draw is not None
        assert len(draw) == len(set(draw.tolist())) == 10
        counts += torch.bincount(draw // 10, minlength=3)
    assert (counts / 30_000).tolist() == pytest.approx(variables.shares, abs=0.01)
    few = variables.draw(1, 500, torch.Generator().manual_seed(1))
    assert {int(draw[0]) // 10 for draw in few if draw is not None} == {0, 1, 2}


@settings(max_examples=10)
@given(st.integers(2, 8), st.floats(0, 1), st.integers(0, 20))
def test_stages_decode_as_exactly_as_if_stored_alone(bits: int, change: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    posters = [random.normal(size=(3, 8, 12)).astype(np.float32)]
    for _ in range(2):
        move = change * random.normal(size=(3, 8, 12))
        posters.append((posters[-1] + move).astype(np.float32))
    storage = {"poster": Storage(bits=bits, per_channel=True)}
    packed = pack_stages([({"poster": poster}, storage) for poster in posters])
    decoded = np.zeros_like(posters[0])
    for number, poster in enumerate(posters, 1):
        name = f"poster_{number}"
        alone, _, _ = encode_tensor(poster, storage["poster"])
        assert alone.quantiser is not None
        _, pieces, values = encode_tensor(packed.arrays[name], packed.storage[name])
        assert packed.sizes[name] == sum(piece.nbytes for piece in pieces)
        decoded = added(decoded, values, "poster") if name in packed.differences else values
        widest = max(alone.quantiser["scale"])
        assert np.abs(decoded - poster).max() <= 0.51 * widest + 1e-5


def test_small_changes_are_stored_as_differences_and_take_less() -> None:
    random = np.random.default_rng(0)
    first = random.normal(size=(3, 30, 30)).astype(np.float32)
    later = (first + 0.02 * random.normal(size=first.shape)).astype(np.float32)
    storage = {"poster": Storage(bits=8, per_channel=True)}
    packed = pack_stages([({"poster": first}, storage), ({"poster": later}, storage)])
    assert packed.differences == ["poster_2"]
    assert packed.sizes["poster_2"] < 0.6 * packed.sizes["poster_1"]
    other = random.normal(size=first.shape).astype(np.float32)
    assert pack_stages([({"poster": first}, storage), ({"poster": other}, storage)]).total == sum(
        pack_stages([({"poster": poster}, storage)]).total for poster in (first, other)
    )


def test_float32_stages_are_stored_as_they_are() -> None:
    first = np.ones((1, 4, 4), np.float32)
    stages = [({"poster": first}, {"poster": Storage()}) for _ in range(2)]
    assert pack_stages(stages).differences == []


def test_stages_of_low_weight_are_left_out_until_the_rest_fits() -> None:
    random = np.random.default_rng(0)
    storage = {"poster": Storage(bits=8)}
    stages = [
        ({"poster": random.normal(size=(1, 20, 20)).astype(np.float32)}, storage) for _ in range(4)
    ]
    one = pack_stages(stages[:1]).total
    packed, kept = pack_within(stages, [0.4, 0.1, 0.2, 0.3], 3 * one)
    assert kept == [0, 3]
    assert sorted(packed.arrays) == ["poster_1", "poster_2"]
    assert packed.total <= 3 * one
    assert pack_within(stages, [0.4, 0.1, 0.2, 0.3], None)[1] == [0, 1, 2, 3]
    with pytest.raises(OutputError, match="bytes, more than `max_stages_bytes`=9"):
        pack_within(stages, [1, 1, 1, 1], 9)


def test_one_stage_is_the_poster_of_podd(digits: Source, tmp_path: Path) -> None:
    plain, one = tmp_path / "plain.ddset", tmp_path / "one.ddset"
    encode(digits, ipc=0.4, profile="quick", steps=6, out=plain, quality="high")
    encode(digits, **QUICK, steps=6, out=one, stages=1)
    found, expected = read(one).arrays, read(plain).arrays
    assert np.array_equal(found["poster_1"], expected["poster"])
    assert np.array_equal(found["labels_1"], expected["labels"])


@pytest.mark.parametrize("start", ["copy", "noise", "blend"])
def test_stages_are_sampled_by_their_weights_and_each_is_a_data_set(
    start: Any, digits: Source, tmp_path: Path
) -> None:
    path = tmp_path / "x.ddset"
    encode(digits, **QUICK, steps=6, out=path, stages=3, stage_start=start)
    assert verify(path) == []
    ds, file = load(path), read(path)
    assert len(ds.stages) == 3
    assert sum(ds.stage_shares) == pytest.approx(1)
    size = len(ds) // 3
    posters = [stage["poster"] for stage in stage_arrays(file.manifest, file.arrays)]
    assert not np.array_equal(posters[0], posters[1])
    for i, stage in enumerate(ds.stages):
        assert len(stage) == size
        assert torch.equal(stage[0][0], ds[i * size][0])
        batches = list(stage.batches(5, shuffle=True, seed=1))
        assert sum(len(x) for x, _ in batches) == size
    drawn: Counter[int] = Counter()
    for epoch in range(4):
        for x, _ in ds.batches(7, seed=0, epoch=epoch):
            for image in x:
                hits = [k for k in range(len(ds)) if torch.equal(ds[k][0], image)]
                drawn[hits[0] // size] += 1
    expected = {i: 4 * part for i, part in enumerate(apportion(len(ds), ds.stage_shares))}
    assert dict(drawn) == expected
    stream = list(ds.stream(seed=0))
    assert len(stream) == len(ds)


def test_the_first_stage_does_not_depend_on_later_ones(digits: Source, tmp_path: Path) -> None:
    one, two = tmp_path / "one.ddset", tmp_path / "two.ddset"
    encode(digits, **QUICK, steps=2, out=one, stages=1)
    encode(digits, **QUICK, steps=4, out=two, stages=2, stage_start="noise")
    assert np.array_equal(read(one).arrays["poster_1"], read(two).arrays["poster_1"])


# In the first stage, in a later one, and at its end.
@pytest.mark.parametrize(
    "stop", [pytest.param(2, marks=pytest.mark.slow), 5, pytest.param(9, marks=pytest.mark.slow)]
)
def test_an_interrupted_encode_resumes_to_the_same_digest(
    stop: int, digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddcodec.codecs.podd.outer_loop.SNAPSHOT_SECONDS", 0.0)
    request = {**QUICK, "steps": 9, "stages": 3}
    whole = encode(digits, **request, out=tmp_path / "whole.ddset")
    out = tmp_path / "x.ddset"
    with pytest.raises(KeyboardInterrupt):
        encode(digits, **request, out=out, reporter=StopAfter(stop))
    assert out.with_name("x.ddset.checkpoint").exists()
    resumed = encode(digits, **request, out=out, resume=True)
    assert resumed.content_digest == whole.content_digest
    assert not out.with_name("x.ddset.checkpoint").exists()


def test_a_bound_on_bytes_is_kept_and_said(digits: Source, tmp_path: Path) -> None:
    path = tmp_path / "x.ddset"
    encode(digits, **QUICK, steps=6, out=path, stages=3, max_stages_bytes=500)
    facts = info(path)
    assert sum(stage["poster"] + stage["labels"] for stage in facts["stages"]) <= 500
    assert len(facts["stages"]) < 3
    assert sum(stage["share"] for stage in facts["stages"]) == pytest.approx(1)
    assert facts["pixels"] == 250 * len(facts["stages"])
    assert facts["patches"]["count"] == len(load(path))
    with pytest.raises(UsageError, match="`max_stages_bytes`=50: one stage takes about"):
        encode(digits, **QUICK, steps=6, out=tmp_path / "y", max_stages_bytes=50)


def test_the_command_in_the_file_makes_it_again(digits: Source, tmp_path: Path) -> None:
    options: dict[str, Any] = {"stages": 2, "stage_direction": "recent", "stage_decay": 0.25}
    manifest = encode(digits, **QUICK, steps=5, out=tmp_path / "x.ddset", **options)
    command = manifest.provenance["command"]
    assert "--codec ppodd --stages 2 --stage-decay 0.25 --stage-direction recent" in command
    assert "--steps 4" in command  # as many for each stage
    assert manifest.codec["params"].keys() <= {"weights", "differences"}
    assert json.dumps(manifest.codec["params"])


def test_a_time_limit_is_shared_by_the_stages(digits: Source, tmp_path: Path) -> None:
    path = tmp_path / "x.ddset"
    manifest = encode(digits, **QUICK, time=2, out=path, stages=2)
    numbers = numbers_of(manifest.provenance["command"])
    assert numbers["steps"] % 2 == 0
    again = encode(digits, **QUICK, **numbers, out=tmp_path / "y.ddset", stages=2)
    assert again.content_digest == manifest.content_digest


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"stages": 0}, "`stages` must be from 1 to 100, got 0"),
        ({"stage_start": "zero"}, "`stage_start` must be one of copy, noise, blend, got 'zero'"),
        ({"stage_direction": "up"}, "`stage_direction` must be one of as-printed, recent"),
        ({"stage_decay": -1}, "`stage_decay` must be from 0 to 100, got -1"),
        ({"stage_boost": math.nan}, "`stage_boost` must be a finite number, got nan"),
        ({"stage_floor": 2}, "`stage_floor` must be from 0 to 1, got 2"),
        ({"stage_floor": 0, "stage_boost": 0}, "`stage_boost`=0 needs a `stage_floor` above 0"),
        ({"max_stages_bytes": 0}, "`max_stages_bytes` must be at least 1, got 0"),
        ({"ipc": None}, "`ipc` must be given"),
        ({"steps": 1, "time": 1.0}, "give `steps` or `time`"),
        ({"steps": 3}, "`steps`=3 is less than one for each of 5 stages"),
        ({"order": "nothing.txt"}, "`order`=nothing.txt: neither a rule (auto, "),
    ],
)
def test_settings_that_cannot_work_are_refused(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        PPoDD(**{"ipc": 1, **chosen})
    assert message in str(caught.value)


def test_stages_belong_to_ppodd_and_need_a_step_each(digits: Source, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`steps`=3 is less than one for each of 5 stages"):
        encode(digits, **QUICK, steps=3, out=tmp_path / "x.ddset")
    with pytest.raises(UsageError, match="`stages` belongs to the codec ppodd"):
        encode(digits, ipc=0.4, steps=3, out=tmp_path / "x.ddset", stages=5)


@pytest.mark.slow
def test_stages_of_the_paper_profile_take_as_many_steps_as_the_first_had_time_for(
    digits: Source, tmp_path: Path
) -> None:
    request = {**QUICK, "profile": "paper", "stages": 2}
    manifest = encode(digits, **request, time=2, out=tmp_path / "x.ddset")
    words = manifest.provenance["command"].split()
    steps = int(words[words.index("--steps") + 1])
    assert 2 <= steps < 200
    assert steps % 2 == 0
    again = encode(digits, **request, steps=steps, out=tmp_path / "y.ddset")
    assert again.content_digest == manifest.content_digest
