"""Normal noise from a seed, the same bits on every machine: Philox-4x32-10 and counted bits.

A diffusion model's starting noise must not depend on a library's generator, nor on logarithms or
sines, which differ between machines. Philox (Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", SC 2011) needs integers only. Two of its blocks make one sample: the ones among 224 bits
follow a binomial law, and 32 more bits fill the gaps between its steps. The excess kurtosis is
-0.009, that of a normal law being 0.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
LOW = np.uint64(0xFFFFFFFF)
# 1 / (2^33 sqrt(56 + 1/12)): the integer below has variance 2^66 (224/4 + 1/12).
SCALE = float.fromhex("0x1.1178dc45ae7cap-36")
CHUNK = 1 << 16  # samples at a time, a bound on memory

Words = NDArray[np.uint64]


def philox(counter: tuple[Words, Words, Words, Words], key: tuple[int, int]) -> list[Words]:
    """Return the four 32-bit words (as uint64 arrays) of Philox-4x32-10 for each counter."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        high = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2  # 32 x 32 bits, exact in 64
        c0, c1, c2, c3 = (
            (high[1] >> np.uint64(32)) ^ c1 ^ np.uint64(k0),
            high[1] & LOW,
            (high[0] >> np.uint64(32)) ^ c3 ^ np.uint64(k1),
            high[0] & LOW,
        )
        k0, k1 = (k0 + WEYL[0]) & 0xFFFFFFFF, (k1 + WEYL[1]) & 0xFFFFFFFF
    return [c0, c1, c2, c3]


def normal(shape: tuple[int, ...], seed: int, stream: int = 0) -> NDArray[np.float32]:
    """Return float32 noise of a shape, in C order, mean 0 and variance 1.

    Args:
        shape: of the result; sample i depends on (seed, stream, i) alone.
        seed: 0 to 2^64 - 1, the Philox key. stream: 0 to 2^64 - 1, its upper counter words.

    Raises ValueError for a seed or stream out of range.
    """
    for name, value in (("seed", seed), ("stream", stream)):
        if not 0 <= value < 2**64:
            raise ValueError(f"{name} must be from 0 to 2^64 - 1, got {value}")
    count = math.prod(shape)
    out = np.empty(count, dtype=np.float32)
    key = seed & 0xFFFFFFFF, seed >> 32
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        block = np.arange(2 * start, 2 * stop, dtype=np.uint64)
        upper = [np.full_like(block, part) for part in (stream & 0xFFFFFFFF, stream >> 32)]
        words = philox((block & LOW, block >> np.uint64(32), upper[0], upper[1]), key)
        eight = np.stack(words, axis=1).reshape(-1, 8)
        ones = np.bitwise_count(eight[:, :7]).sum(axis=1, dtype=np.int64)
        whole = ((ones - 112) << 33) + 2 * eight[:, 7].astype(np.int64) + 1 - (1 << 32)
        out[start:stop] = (whole.astype(np.float64) * SCALE).astype(np.float32)
    return out.reshape(shape)
