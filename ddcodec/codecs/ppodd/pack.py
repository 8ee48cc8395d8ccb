"""Stages as tensors of a file: each as it is, or as its difference from the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...errors import OutputError
from ...format import Storage
from ...format.payload import encode_tensor, quantise_as
from ...format.strict_json import dumps
from .stages import added

Arrays = dict[str, NDArray[np.float32]]
Stored = tuple[Arrays, dict[str, Storage]]  # of a stage, by kind
NAME_BYTES = 13  # that a difference adds to the manifest: its name in a list
BITS = range(2, 9)


@dataclass(frozen=True)
class Packed:
    """Tensors of a file, named as there.

    Attributes:
        arrays, storage: what to write, and how.
        differences: names of the tensors that hold differences, in ascending order.
        sizes: coded bytes of each tensor.
    """

    arrays: Arrays
    storage: dict[str, Storage]
    differences: list[str]
    sizes: dict[str, int]

    @property
    def total(self) -> int:
        """Coded bytes of all stages."""
        return sum(self.sizes.values())


def pack_stages(stages: Sequence[Stored]) -> Packed:
    """Choose for every tensor of every stage, oldest first, the form that takes fewer bytes.

    A difference is taken from the stage before as the file will decode it, so errors do not add
    up, and with steps that are no wider than those of the tensor itself. Tensors that are not
    quantised are stored as they are: a rounded sum would not be exact.
    """
    packed = Packed({}, {}, [], {})
    before: Arrays = {}
    for number, (arrays, storage) in enumerate(stages, 1):
        decoded = {}
        for kind, array in arrays.items():
            name = f"{kind}_{number}"
            spec, pieces, decoded[kind] = encode_tensor(array, storage[kind])
            packed.arrays[name], packed.storage[name] = array, storage[kind]
            packed.sizes[name] = sum(piece.nbytes for piece in pieces)
            if kind not in before or spec.quantiser is None or spec.quantiser["kind"] != "uniform":
                continue
            gap = (array.astype(np.float64) - before[kind]).astype(np.float32)
            widest = max(spec.quantiser["scale"])
            for bits in BITS:
                how = replace(storage[kind], kind="uniform", bits=bits)
                if max(quantise_as(gap, how)[1]["scale"]) > widest:
                    continue
                gap_spec, gap_pieces, gap_decoded = encode_tensor(gap, how)
                size = sum(piece.nbytes for piece in gap_pieces)
                more = len(dumps(gap_spec.as_json())) - len(dumps(spec.as_json()))
                if size + more + NAME_BYTES < packed.sizes[name]:
                    packed.arrays[name], packed.storage[name] = gap, how
                    packed.sizes[name] = size
                    packed.differences.append(name)
                    decoded[kind] = added(before[kind], gap_decoded, kind)
                break
        before = decoded
    packed.differences.sort()
    return packed


def pack_within(
    stages: Sequence[Stored],
    weights: Sequence[float],
    most: int | None,
) -> tuple[Packed, list[int]]:
    """Return the stages in at most ``most`` bytes, and which stages (from 0) these are.

    Stages are left out one by one, that with the lowest of ``weights`` first, until the rest fits.
    Raises OutputError where not even one does.
    """
    kept = list(range(len(stages)))
    while True:
        packed = pack_stages([stages[i] for i in kept])
        if most is None or packed.total <= most:
            return packed, kept
        if len(kept) == 1:
            raise OutputError(
                f"a stage takes {packed.total} bytes, more than `max_stages_bytes`={most}; "
                "use a lower `quality` or a smaller `ipc`"
            )
        kept.remove(min(kept, key=lambda i: weights[i]))
