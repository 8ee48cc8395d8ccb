"""How fast D3M decodes: images from the model, from the cache, from memory.

    python tests/bench/bench_d3m.py [--prior DIR] [--images 500]

Without ``--prior`` a prior of the digits with random weights is made: the speed is that of a
trained one of the same size.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

from ddcodec import D3M, encode, load, sources
from ddcodec.observers.train import train as train_observer
from ddcodec.priors.train import PriorRecipe
from ddcodec.priors.train import train as train_prior


def rate(file: Path, prior: Path, cache: Path | None) -> tuple[float, float]:
    """Return images a second for a first pass, load included, and for a second one."""
    rates = []
    start = time.perf_counter()
    ds = load(file, prior=prior, cache=cache)
    for _ in range(2):
        count = sum(len(x) for x, _ in ds.batches(256))
        rates.append(count / (time.perf_counter() - start))
        start = time.perf_counter()
    return rates[0], rates[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prior", type=Path)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    digits = sources.load("digits")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        prior = args.prior
        if prior is None:
            prior = place / "prior"
            train_prior(digits, prior, recipe=PriorRecipe(steps=1))
        train_observer(digits, "convnet3", place / "o", epochs=0.1)
        options = D3M(ipc=args.images // 10, observer=place / "o", prior=str(prior), tokens="names")
        out = place / "x.ddset"
        start = time.perf_counter()
        encode(digits, out, options, device="cpu")
        print(f"encode without inversion: {time.perf_counter() - start:.1f} s")
        made, held = rate(out, prior, None)
        print(
            f"generated, 25 steps, guidance: {made:,.0f} images a second; from memory {held:,.0f}"
        )
        rate(out, prior, place / "cache")
        cached, _ = rate(out, prior, place / "cache")
        print(f"from the cache, load and digests included: {cached:,.0f} images a second")


if __name__ == "__main__":
    main()
