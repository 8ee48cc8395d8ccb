"""The quantised network in the bytes of files, alone: the record of docs/results.md.

    python tests/bench/bench_quantised.py F... --nets 2 --precision bfloat16 [--test SOURCE]

The same row as that of `ddcodec train F --baselines`. It prints a JSON object for each file, and to
stderr each network.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ddcodec import load, sources
from ddcodec.evaluate.measure import protocol, test_split
from ddcodec.evaluate.quantised import quantised_network
from ddcodec.runtime.progress import Reporter

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("files", nargs="+", type=Path)
parser.add_argument("--test", help="by default the data set that the file names")
parser.add_argument("--nets", type=int, default=3)
parser.add_argument("--steps", type=int, help="by default as planned for the data set")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--precision", default="float32")
given = parser.parse_args()


class Lines(Reporter):
    def step(self, done: int, loss: float | None = None) -> None:
        if done % 250 == 0:
            self.result(f"step {done}, loss {loss}")

    def result(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


for path in given.files:
    ds = load(path)
    if given.test is None:
        source = sources.find_again(ds.manifest.source, ds.classes)
    else:
        source = sources.load(given.test)
    how = {"nets": given.nets, "seed": given.seed, "precision": given.precision}
    trial = protocol(ds, test_split(ds, source), device="cpu", reporter=Lines(), **how)
    total, classes = ds.file.sizes.total, len(ds.classes)
    entry = quantised_network(trial, source.train, classes, total, given.steps)
    found = {"file": path.name, "file_bytes": total, "test": source.name, "seed": given.seed}
    print(json.dumps(found | {"precision": given.precision} | entry), flush=True)
