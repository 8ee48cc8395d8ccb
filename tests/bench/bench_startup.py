"""How long ``ddcodec info`` and ``verify`` of a small file take, beside importing torch.

    python tests/bench/bench_startup.py [FILE] [--repeat 9]

Every command is a process of its own; the commands take turns, and medians are compared.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

VECTOR = Path(__file__).parents[2] / "spec" / "vectors" / "valid" / "podd-zstd-8-bits.ddset"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", default=str(VECTOR))
    parser.add_argument("--repeat", type=int, default=9)
    args = parser.parse_args()
    commands = {
        "import torch": ["-c", "import torch"],
        "python, nothing": ["-c", "pass"],
        "import ddcodec": ["-c", "import ddcodec"],
        "ddcodec info": ["-m", "ddcodec", "info", args.file],
        "ddcodec info --json": ["-m", "ddcodec", "info", args.file, "--json"],
        "ddcodec verify": ["-m", "ddcodec", "verify", args.file],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(args.repeat + 1):
        for name, words in commands.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
            if turn:  # the first turn fills the caches of the disk
                times[name].append(time.perf_counter() - start)
    torch = statistics.median(times["import torch"])
    print(f"{'command':<22}{'median ms':>10}{'of torch':>10}")
    for name, found in times.items():
        median = statistics.median(found)
        print(f"{name:<22}{1000 * median:>10.0f}{median / torch:>10.2f}")


if __name__ == "__main__":
    main()
