"""Arithmetic coding in integers: a 32-bit range coder that carries (Martin, 1979).

Nothing here knows a model: a symbol is an interval [low, low + count) out of a total. The decoder
divides and multiplies integers below 2^32 only, so every machine reads the same symbols.
"""

from __future__ import annotations

MASK = (1 << 32) - 1
LEAST = 1 << 24  # the range never stays below; a total may have 17 bits with hardly any loss


class RangeEncoder:
    """Collects symbols; ``finish`` gives the fewest bytes that decode to them."""

    def __init__(self) -> None:
        self._low, self._range, self._out = 0, MASK, bytearray()

    def encode(self, low: int, count: int, total: int) -> None:
        """Add the symbol that owns [low, low + count) of ``total``, 0 < count, total < 2^18."""
        share = self._range // total
        self._low += low * share
        self._range = count * share
        if self._low > MASK:
            self._carry()
        while self._range < LEAST:
            self._out.append(self._low >> 24)
            self._low = (self._low << 8) & MASK
            self._range <<= 8

    def finish(self) -> bytes:
        """Return the code, without the zero bytes that a decoder reads behind the end anyway."""
        for size in range(5):
            zeros = (1 << (32 - 8 * size)) - 1
            value = (self._low + zeros) & ~zeros  # the first in the interval with ``size`` bytes
            if value < self._low + self._range:
                break
        self._low = value
        if self._low > MASK:
            self._carry()
        code = bytes(self._out) + self._low.to_bytes(4, "big")
        return code.rstrip(b"\0")

    def _carry(self) -> None:
        self._low &= MASK
        at = len(self._out) - 1
        while self._out[at] == 255:
            self._out[at] = 0
            at -= 1
        self._out[at] += 1


class RangeDecoder:
    """Reads a code. Behind its end there are zeros.

    Attributes:
        used: bytes read so far, those behind the end included.
    """

    def __init__(self, code: bytes | memoryview) -> None:
        self._code = bytes(code)
        self._value = int.from_bytes(self._code[:4].ljust(4, b"\0"), "big")
        self._range, self._share = MASK, 1
        self.used = 4

    def target(self, total: int) -> int:
        """Return a number below ``total``: it lies in the interval of the next symbol."""
        self._share = self._range // total
        return min(self._value // self._share, total - 1)

    def take(self, low: int, count: int) -> None:
        """Go on behind the symbol that owns [low, low + count) of the ``total`` just asked."""
        self._value -= low * self._share
        self._range = count * self._share
        while self._range < LEAST:
            byte = self._code[self.used] if self.used < len(self._code) else 0
            self._value = ((self._value << 8) | byte) & MASK
            self._range <<= 8
            self.used += 1
