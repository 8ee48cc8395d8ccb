"""Time and memory of compensation, the costly stage of the codec lic, beside the paper's figures.

    python tests/bench/bench_lic.py [--device cuda] [--arch convnet4] [--iterations 200]

The paper (OpenReview 2SnmKd1JK4, table 3) compensates 100 images of Tiny-ImageNet in 13.02 s with a
ConvNet-4 and 0.65 GB, 25.34 s with a ResNet-18 and 1.56 GB, on an RTX 4090, whose peak is 82.6
TFLOP/s in float32. Images here are noise, which takes as long. Operations are counted by PyTorch
over one iteration; the ratio is (our seconds x our peak) / (their seconds x their peak), where the
peak of this machine is what a large matrix product reaches in the same precision.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from ddcodec import LIC
from ddcodec.codecs.lic.compensate import compensate, feature_difference
from ddcodec.codecs.lic.params import make_params
from ddcodec.observers.build import build, initialise
from ddcodec.observers.file import Description, Trained
from ddcodec.preprocessing.transform import Preprocess
from ddcodec.runtime.device import has_bfloat16
from ddcodec.runtime.rng import generator

PAPER = {"convnet4": (13.02, 0.65), "resnet18": (25.34, 1.56), "mobilenetv2": (18.81, 0.64)}
PAPER_PEAK = 82.6e12  # FLOP/s in float32 of an RTX 4090
MOSAICS, SIDE, CLASSES, ITERATIONS = 100, 64, 200, 200


def observer(architecture: str, device: torch.device) -> Trained:
    """Return an untrained observer; how long it takes does not depend on its weights."""
    image = {"channels": 3, "height": SIDE, "width": SIDE, "preprocessing": {"kind": "none"}}
    network = initialise(build(architecture, 3, SIDE, SIDE, CLASSES), generator(0))
    network.eval().requires_grad_(False).to(device)
    names = tuple(map(str, range(CLASSES)))
    description = Description(architecture, names, image, {}, {}, None)
    return Trained(network, description, Preprocess({"kind": "none"}, 3, SIDE, SIDE), "0" * 64)


def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Return the FLOP/s of a large matrix product, the best of some."""
    n = 8192 if device.type == "cuda" else 2048
    a = torch.randn(n, n, generator=generator(1)).to(device, dtype)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--arch", default="convnet4", choices=sorted(PAPER))
    parser.add_argument("--iterations", type=int, default=3, help="timed; scaled to 200")
    options = parser.parse_args()
    device = torch.device(options.device)
    teacher = observer(options.arch, device)
    for precision in ("float32", "bfloat16") if has_bfloat16(device) else ("float32",):
        params = make_params(
            LIC(ipc=1, observer=Path(), steps=options.iterations),
            (3, SIDE, SIDE),
            CLASSES,
            precision,
            seed=0,
        )
        geometry = params.mosaic(SIDE, SIDE)
        shape = (MOSAICS * geometry.cells, 3, SIDE, SIDE)
        images = torch.randint(0, 256, shape, generator=generator(2), dtype=torch.uint8).to(device)
        mosaics = geometry.squeeze(images)
        with FlopCounterMode(display=False) as counter:
            pair = images[: geometry.cells].float() / 255
            moving = pair.clone().requires_grad_()
            difference = feature_difference(pair, moving, teacher, params, generator(3))
            torch.autograd.grad(difference.sum(), moving)
        flops = counter.get_total_flops() * MOSAICS * ITERATIONS
        start = time.perf_counter()
        for first in range(0, MOSAICS, params.batch):
            part = slice(first, first + params.batch)
            cells = slice(first * geometry.cells, (first + params.batch) * geometry.cells)
            compensate(mosaics[part], images[cells], geometry, teacher, params, (first,))
        wait(device)
        seconds = (time.perf_counter() - start) * ITERATIONS / options.iterations
        peak = peak_flops(device, getattr(torch, precision))
        theirs, memory = PAPER[options.arch]
        used = (
            torch.cuda.max_memory_allocated() if device.type == "cuda"
            else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        )  # fmt: skip
        print(
            f"{options.arch} {precision}: {seconds:.1f} s for {MOSAICS} mosaics x {ITERATIONS} "
            f"iterations ({flops / 1e12:.1f} TFLOP, {flops / seconds / 1e9:.0f} GFLOP/s of a peak "
            f"of {peak / 1e9:.0f}), {used / 1e9:.2f} GB; paper {theirs} s, {memory} GB; "
            f"ratio {seconds * peak / (theirs * PAPER_PEAK):.2f}"
        )


if __name__ == "__main__":
    main()
