"""Fuzz the reader, guided by coverage where atheris is installed: ``make fuzz`` or

    python tests/fuzz/fuzz.py --seconds 3600

atheris (pip install atheris) follows the branches of ``ddcodec.format``; half of its mutations are
those of ``fuzz_reader``, which know the structure of a file. Without it the plain loop of
``fuzz_reader`` runs. What fails is kept in tests/fuzz/corpus.
"""

from __future__ import annotations

import random
import sys
import tempfile

try:
    import atheris
except ImportError:
    atheris = None
else:
    with atheris.instrument_imports(include=["ddcodec.format"]):
        import ddcodec.inspection.verify  # noqa: F401

import fuzz_reader


def mutator(data: bytes, longest: int, seed: int) -> bytes:
    """Change a case: as a file where it still is one, else as bytes."""
    rng = random.Random(seed)
    if rng.random() < 0.5:
        return bytes(atheris.Mutate(data, longest))
    try:
        return fuzz_reader.mutated([data], rng)[:longest]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return bytes(atheris.Mutate(data, longest))


def main() -> int:
    if atheris is None:
        print("atheris is not installed; mutating without guidance", file=sys.stderr)
        return fuzz_reader.main()
    args = fuzz_reader.arguments()
    folders = [tempfile.mkdtemp(prefix="ddset-fuzz-"), str(fuzz_reader.VECTORS / "valid")]
    options = [
        f"-max_total_time={args.seconds:.0f}",
        f"-seed={args.seed + 1}",
        f"-artifact_prefix={fuzz_reader.CORPUS}/",
        "-max_len=16384",
    ]
    atheris.Setup([sys.argv[0], *options, *folders], fuzz_reader.one, custom_mutator=mutator)
    atheris.Fuzz()  # ends the process
    return 0


if __name__ == "__main__":
    sys.exit(main())
