"""A table of networks in a manifest: what it leaves out comes back, however entries are alike."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ddcodec.errors import InvalidFile
from ddcodec.format import read, to_bytes
from ddcodec.format.defaults import fill, strip
from ddcodec.format.measured import INHERITED, MOST, joined, parted, transfer
from ddcodec.format.strict_json import dumps
from tests.helpers.hostile import Forgery
from tests.helpers.small_files import STORAGE, arrays, manifest

OWN = {"accuracy_mean": 0.5, "accuracy_std": 0.1, "nets": 8, "steps": 100, "test": "zoo"}
OWN |= {"test_count": 10}

entries = some.fixed_dictionaries(
    {
        "network": some.sampled_from(["mlp", "vit", "timm:resnet10t"]),
        "norm": some.sampled_from(["batch", "none"]),
        "accuracy_mean": some.floats(0, 1),
        "accuracy_std": some.sampled_from([0, 0.25]),
        "nets": some.sampled_from([1, 8]),
        "steps": some.sampled_from([100, 200]),
        "optimizer": some.sampled_from(["adam", "sgd"]),
        "lr": some.sampled_from([0.001, 1, 1.0]),
        "tool": some.sampled_from(["ddcodec 0", "ddcodec 1"]),
    },
    optional={"own": some.just(True)},
)


@given(some.lists(entries, min_size=1, max_size=6))
def test_a_table_comes_back_as_it_was_and_says_nothing_twice(found: list[dict[str, Any]]) -> None:
    own = OWN | {"tool": "ddcodec 0"}
    full = {"measured": joined(own, found)}
    short = strip(full)
    assert dumps(fill(short)) == dumps(full)  # 1 is not 1.0
    assert parted(fill(short)["measured"]) == (own, tuple(found))
    assert short["measured"][0] == own
    for before, entry, kept in zip([own, *found], found, short["measured"][1:], strict=False):
        same = {
            name
            for name in INHERITED
            if before.get(name) == entry[name] and type(before[name]) is type(entry[name])
        }
        assert set(kept) == set(entry) - same


def test_without_a_table_the_object_is_stored_as_ever() -> None:
    data = to_bytes(manifest(measured=OWN), arrays(), STORAGE)[0]
    assert Forgery.of(data).manifest["measured"] == OWN
    assert read(data).manifest.measured_networks == ()
    assert joined(OWN, []) == OWN
    assert parted(OWN) == (OWN, ())
    assert parted(None) == (None, ())


@pytest.mark.parametrize("value", [[], [OWN], [OWN] * (MOST + 1), [OWN, 1], [None, OWN]])
def test_a_list_is_the_own_network_and_some_others(value: Any) -> None:
    with pytest.raises(InvalidFile, match="2 to 100 objects"):
        parted(value)


def test_a_list_beyond_the_cap_is_not_filled_in() -> None:
    body = {"measured": [OWN, *[{} for _ in range(MOST)]]}
    assert fill(body) == body
    assert fill({"measured": body["measured"][:3]})["measured"][2]["steps"] == 100


@pytest.mark.parametrize("odd", [[1], {"a": 1}, None, True])
def test_only_texts_and_numbers_are_taken_over(odd: Any) -> None:
    body = {"measured": [{"lr": odd}, {}]}
    assert fill(body) == body
    twice = {"measured": [{"lr": odd}, {"lr": odd}]}
    assert strip(twice) == twice


def test_the_own_network_by_other_recipes_is_no_transfer() -> None:
    rows = [{"accuracy_mean": 0.25}, {"accuracy_mean": 0.75, "own": False}]
    assert transfer([*rows, {"accuracy_mean": 1.0, "own": True}]) == 0.5
    assert transfer([{"accuracy_mean": 1.0, "own": True}]) is None
