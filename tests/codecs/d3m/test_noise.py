"""Noise from seeds: published test vectors, and the moments of a normal law."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ddcodec.codecs.d3m.noise import SCALE, normal, philox

# Known answers published with Random123 (kat_vectors, philox4x32 10).
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF,) * 4,
        (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_philox_gives_the_published_words(
    counter: tuple[int, ...], key: tuple[int, int], expected: tuple[int, ...]
) -> None:
    words = [np.array([word], dtype=np.uint64) for word in counter]
    found = philox((words[0], words[1], words[2], words[3]), key)
    assert tuple(int(word[0]) for word in found) == expected


def test_the_scale_is_the_rounded_exact_one() -> None:
    assert math.isclose(SCALE, 2.0**-33 / math.sqrt(56 + 1 / 12), rel_tol=1e-15)


def test_the_values_never_change() -> None:
    assert normal((2, 3), seed=1234, stream=5).tolist() == [
        [0.5272188186645508, -1.7497155666351318, 0.039458535611629486],
        [0.9343941807746887, 0.5377720594406128, -0.04640217497944832],
    ]


def test_one_sample_by_hand() -> None:
    """The definition in plain integers, for the last of some samples."""
    seed, stream, index = 2**63 + 17, 2**40 + 3, 70_001
    words = []
    for block in (2 * index, 2 * index + 1):
        counter = [block & 0xFFFFFFFF, block >> 32, stream & 0xFFFFFFFF, stream >> 32]
        arrays = [np.array([word], dtype=np.uint64) for word in counter]
        key = (seed & 0xFFFFFFFF, seed >> 32)
        words += [int(w[0]) for w in philox((arrays[0], arrays[1], arrays[2], arrays[3]), key)]
    ones = sum(word.bit_count() for word in words[:7])
    whole = (ones - 112) * 2**33 + 2 * words[7] + 1 - 2**32
    assert normal((index + 1,), seed, stream)[index] == np.float32(whole * SCALE)


def test_the_moments_are_those_of_a_normal_law() -> None:
    x = normal((1_000_000,), seed=7).astype(np.float64)
    assert abs(x.mean()) < 0.005
    assert abs(x.var() - 1) < 0.01
    assert abs((x**3).mean()) < 0.02
    assert abs((x**4).mean() - 3) < 0.05
    assert abs(np.mean(np.abs(x) > 2) - 0.0455) < 0.001
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.005


def test_seeds_and_streams_differ_and_prefixes_agree() -> None:
    first = normal((100,), seed=1)
    assert not np.array_equal(first, normal((100,), seed=2))
    assert not np.array_equal(first, normal((100,), seed=1, stream=1))
    assert np.array_equal(first, normal((200_000,), seed=1)[:100])


@pytest.mark.parametrize("arguments", [{"seed": -1}, {"seed": 2**64}, {"seed": 0, "stream": -1}])
def test_a_seed_out_of_range_is_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="from 0 to"):
        normal((1,), **arguments)
