"""Feed mutated files to the reader for as long as you like.

    python tests/fuzz/fuzz_reader.py --seconds 60 --seed 1
    python tests/fuzz/fuzz_reader.py --count 1000000

Nothing but the package's own errors may come out, no case may take long, and memory must stay
flat. Reading a file whole and chunk by chunk must agree on whether it is valid. What is valid must
decode to samples, those that the second reader, examples/read_ddset.py, finds. A file that breaks
this is written to tests/fuzz/corpus, which the test suite reads for ever.

Mutations know the structure: values in manifest and header are replaced and moved about, numbers
go to their limits, and digests are put right half of the time, so that the damage gets past them,
as that of an attacker would.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import itertools
import json
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from ddcodec.codecs.d3m.decode import patch_labels  # noqa: E402
from ddcodec.errors import DDSetError, InvalidFile, Unsupported  # noqa: E402
from ddcodec.format import ChunkReader, DDSetFile, read  # noqa: E402
from ddcodec.format.header import check_sizes  # noqa: E402
from ddcodec.format.payload import digest  # noqa: E402
from ddcodec.limits import Limits  # noqa: E402
from tests.helpers.hostile import Forgery  # noqa: E402
from tests.helpers.second_reader import SECOND, decoded  # noqa: E402

CORPUS = Path(__file__).parent / "corpus"
VECTORS = ROOT / "spec" / "vectors"
LIMITS = Limits(decoded_bytes=64 << 20, file_bytes=1 << 20, context_symbols=1 << 16)
FEW = 3  # samples that are compared
SLOW = 1.0  # seconds of a case
AGREED = ("read", "DDS-E022", "DDS-E023", "DDS-E031", "DDS-E032", "DDS-E014", "DDS-E011")
CASE = tempfile.NamedTemporaryFile(suffix=".ddset")  # noqa: SIM115
NUMBERS = [
    0,
    1,
    -1,
    2,
    3,
    7,
    8,
    255,
    256,
    2**15,
    2**31,
    2**32,
    2**53,
    2**63,
    0.5,
    -0.0,
    1e-40,
    1e300,
]
VALUES: list[Any] = [
    None,
    True,
    False,
    "",
    "x",
    "__import__",
    "../x",
    "\x1b[0m",
    [],
    {},
    [[]],
    {"a": 1},
]


def one(data: bytes) -> str:
    """Read a case; return what happened, or raise what must not come out."""
    start = time.process_time()
    outcome = outcome_of(lambda: read(data, limits=LIMITS))
    if outcome in AGREED or data[-1:] < b"\x10":
        by_chunks = outcome_of(lambda: pass_over(data))
        if (by_chunks == "read") != (outcome == "read"):
            raise AssertionError(f"whole: {outcome}, chunk by chunk: {by_chunks}")
    if outcome == "read":
        samples(data, read(data, limits=LIMITS))
    if time.process_time() - start > SLOW:
        raise TimeoutError(f"a case took {time.process_time() - start:.1f} s")
    return outcome


def outcome_of(action: Callable[[], Any]) -> str:
    """Return "read", "unsupported" or the code of the error."""
    try:
        action()
    except InvalidFile as error:
        return error.code
    except Unsupported:
        return "unsupported"
    return "read"


def samples(data: bytes, file: DDSetFile) -> None:
    """Decode a valid case as a user would, and by the second reader: both must find the same."""
    if file.manifest.codec["name"] == "d3m":  # a model that is not here makes the images
        manifest, tensors = SECOND["read"](data)
        labels = patch_labels(file.manifest, file.arrays)
        found = itertools.islice(SECOND["generated_labels"](manifest, tensors), FEW)
        if any(a.tobytes() != b.tobytes() for a, b in zip(found, labels, strict=False)):
            raise AssertionError("the second reader finds other labels")
        return
    found = decoded(file)
    count = min(FEW, len(found))
    images = found.gather(torch.arange(count)).numpy()
    manifest, tensors = SECOND["read"](data)
    for (image, label), own, soft in zip(
        itertools.islice(SECOND["samples"](manifest, tensors), count),
        images,
        found.labels[:count],
        strict=True,
    ):
        if image.tobytes() != own.tobytes() or label.tobytes() != soft.tobytes():
            raise AssertionError("the second reader finds other samples")


def pass_over(data: bytes) -> None:
    """Read a case as a file, chunk by chunk."""
    CASE.seek(0)
    CASE.truncate()
    CASE.write(data)
    CASE.flush()
    with ChunkReader(CASE.name, limits=LIMITS) as reader:
        check_sizes(reader.manifest, LIMITS)
        reader.check_data()
        reader.check_content()


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) in a JSON value."""
    found: list[tuple[Any, Any]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in items:
        found.append((value, key))
        if isinstance(child, (dict, list)):
            found += places(child)
    return found


def mutate_json(value: Any, rng: random.Random) -> None:
    """Change one place of a JSON value."""
    all_places = places(value)
    if not all_places:
        return
    container, key = rng.choice(all_places)
    kind = rng.randrange(6)
    if kind == 0:
        container[key] = rng.choice(NUMBERS)
    elif kind == 1:
        container[key] = copy.deepcopy(rng.choice(VALUES))
    elif kind == 2:
        other, name = rng.choice(all_places)
        container[key] = copy.deepcopy(other[name])
    elif kind == 3:
        del container[key]
    elif kind == 4 and isinstance(container, list):
        container.append(copy.deepcopy(container[key]))
    elif kind == 4:
        container[rng.choice(["a", "chunk", "poster", "labels", "x.0"])] = container[key]
    elif isinstance(container[key], (int, float)) and not isinstance(container[key], bool):
        container[key] += rng.choice([-1, 1, 0.5, 10, -container[key]])
    elif isinstance(container[key], str):
        container[key] += rng.choice(["", "0", "\0", "é", "a" * 300])


def mutate_bytes(data: bytearray, rng: random.Random) -> None:
    """Change some bytes: flip, overwrite, cut, repeat."""
    if not data:
        return
    at, length = rng.randrange(len(data)), rng.randrange(1, 33)
    kind = rng.randrange(4)
    if kind == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        data[at : at + length] = rng.randbytes(length)
    elif kind == 2:
        del data[at : at + length]
    else:
        data[at:at] = data[at : at + length]


def mutated(seeds: list[bytes], rng: random.Random) -> bytes:
    """Return a new case made from one of the seeds."""
    data = rng.choice(seeds)
    if rng.random() < 0.4:
        changed = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            mutate_bytes(changed, rng)
        return bytes(changed)
    forgery = Forgery.of(data)
    for _ in range(rng.randrange(1, 4)):
        where = rng.random()
        if where < 0.7:
            mutate_json(forgery.manifest, rng)
        elif where < 0.85:
            mutate_json(forgery.header, rng)
        else:
            body = bytearray(forgery.body)
            mutate_bytes(body, rng)
            forgery.body = bytes(body)
    if rng.random() < 0.5 and isinstance(forgery.manifest, dict):
        forgery.manifest["data_digest"] = hashlib.sha256(forgery.body).hexdigest()[:16]
        if rng.random() < 0.7:
            seal(forgery)
    try:
        return forgery.build()
    except (UnicodeEncodeError, ValueError):  # a lone surrogate or the like has no bytes
        return data


def seal(forgery: Forgery) -> None:
    """Put the content digest right where the rest can be read."""
    try:
        file = read(forgery.build(), check=False, limits=LIMITS)
    except (DDSetError, UnicodeEncodeError, ValueError):
        return
    digests = {name: digest(array) for name, array in file.arrays.items()}
    forgery.manifest["content_digest"] = file.manifest.content(digests)


def memory() -> float:
    """Return the largest memory so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--count", type=int, default=sys.maxsize)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.count != sys.maxsize:
        args.seconds = float("inf")
    return args


def main() -> int:
    args = arguments()
    seeds = [path.read_bytes() for path in sorted((VECTORS / "valid").glob("*.ddset"))]
    rng = random.Random(args.seed)
    outcomes: Counter[str] = Counter()
    start, done = time.monotonic(), 0
    while done < args.count and time.monotonic() - start < args.seconds:
        data = mutated(seeds, rng)
        try:
            outcomes[one(data)] += 1
        except KeyboardInterrupt:
            break
        except BaseException as problem:
            path = CORPUS / f"{hashlib.sha256(data).hexdigest()[:16]}.ddset"
            path.write_bytes(data)
            print(f"{type(problem).__name__}: {problem}; kept as {path}")
            return 1
        done += 1
        if done in (1000, 10_000) or done % 100_000 == 0:
            print(f"{done:>9,} files, {memory():.0f} MiB", flush=True)
    seconds = time.monotonic() - start
    print(f"{done:,} files in {seconds:.0f} s, {memory():.0f} MiB, nothing but our own errors")
    print(json.dumps(dict(sorted(outcomes.items()))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
