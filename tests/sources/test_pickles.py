from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ddcodec.sources import pickles

PIXELS = np.random.default_rng(8).integers(0, 256, (4, 6), np.uint8)
BATCH = {b"data": PIXELS, b"labels": [0, 3, 255, 70000], b"filenames": [b"a.png", "b.png"]}

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
        | st.tuples(inner, inner, inner, inner)
        | st.tuples(inner)
    ),
    max_leaves=12,
)


def as_python2(data: np.ndarray, labels: list[int]) -> bytes:
    """A batch as Python 2.7 and numpy 1.6 wrote it in 2009: byte strings, no module renamed."""

    def text(value: bytes) -> bytes:
        return b"T" + len(value).to_bytes(4, "little") + value

    def number(value: int) -> bytes:
        return b"J" + value.to_bytes(4, "little", signed=True)

    shape = b"".join(map(number, data.shape)) + b"\x86"
    kind = b"cnumpy\ndtype\nq\x01U\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN"
    kind += number(-1) * 2 + b"K\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    array += b"(K\x01" + shape + kind + b"\x89" + text(data.tobytes()) + b"tb"
    numbers = b"](" + b"".join(map(number, labels)) + b"e"
    return b"\x80\x02}q\x00(U\x04data" + array + b"U\x06labels" + numbers + b"u."


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, np.ndarray):
        return ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
    if isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[k], theirs[k]) for k in theirs)
    return type(ours) is type(theirs) and ours == theirs


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_batch_is_read_as_python_reads_it(protocol: int, order: Any) -> None:
    batch = BATCH | {b"data": np.asarray(PIXELS, order=order)}
    assert same(pickles.load(pickle.dumps(batch, protocol)), batch)


def test_a_batch_of_python_2_gives_bytes_and_pixels() -> None:
    read = pickles.load(as_python2(PIXELS, [1, 2, 300]))
    assert same(read, {b"data": PIXELS, b"labels": [1, 2, 300]})


@given(PLAIN, st.sampled_from([0, 1, 2, 3, 4, 5]))
def test_plain_data_comes_back(value: Any, protocol: int) -> None:
    assert same(pickles.load(pickle.dumps(value, protocol)), value)


class Command:
    def __reduce__(self) -> Any:
        return os.mkdir, ("made-by-a-pickle",)


class Reader:
    def __reduce__(self) -> Any:
        return eval, ("1",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("thing", [Command(), Reader(), [Command()], {1: Command()}, Path("a")])
def test_a_program_is_refused_and_nothing_runs(
    thing: Any, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="which plain data does not need"):
        pickles.load(pickle.dumps(thing, protocol))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 3)),
        np.array(["a", None], object),
        np.array([True]),
        np.zeros(2, [("a", "u1")]),
        np.zeros(2, ">i4"),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"uint8|damaged"):
        pickles.load(pickle.dumps({b"data": array}, 2))


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
KIND = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (b"", "damaged"),
        (b".", "damaged"),
        (b"]", "damaged"),
        (b"\x80\x02]q\x00", "damaged"),
        (b"(.", "damaged"),
        (b"](.", "damaged"),
        (b"cnumpy\ndtype\n.", "damaged"),
        (KIND + b".", "damaged"),
        (b"h\x00.", "damaged"),
        (b"t.", "damaged"),
        (b"}]K\x01s.", "damaged"),
        (b"N(K\x01e.", "damaged"),
        (RECONSTRUCT + b".", "array without content"),
        (RECONSTRUCT + b"(K\x01K\x09\x85" + KIND + b"\x89U\x02abtb.", "shape does not fit"),
        (RECONSTRUCT + b"(K\x01J\xff\xff\xff\xff\x85" + KIND + b"\x89U\x00tb.", "shape does not"),
        (b"\x82\x01.", "asks for EXT1"),
        (b"P1\n.", "asks for PERSID"),
        (b"cbuiltins\neval\n.", "asks for 'builtins eval'"),
    ],
)
def test_a_crafted_program_is_refused(program: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pickles.load(program)


def test_a_short_program_cannot_fill_the_memory() -> None:
    text = b"X" + (1000).to_bytes(4, "little") + b"x" * 1000 + b"q\x00"
    call = b"c_codecs\nencode\nq\x01h\x00X\x06\x00\x00\x00latin1\x86R"
    with pytest.raises(ValueError, match="builds more than it holds"):
        pickles.load(text + call + b"h\x01h\x00X\x06\x00\x00\x00latin1\x86R" * 50 + b".")


GOOD = as_python2(PIXELS, [1, 2, 3])


@settings(max_examples=400)
@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=8))
@example(len(GOOD) - 1, b"0")
def test_a_damaged_pickle_gives_a_value_or_a_value_error(at: int, patch: bytes) -> None:
    data = GOOD[:at] + patch + GOOD[at + len(patch) :]
    refused = False
    try:
        value = pickles.load(data)
    except ValueError:
        refused = True
    assert refused or not isinstance(value, pickles._Array)
