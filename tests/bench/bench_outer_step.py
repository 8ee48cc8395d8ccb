"""Time one outer RaT-BPTT step at the published settings, ways of computing it side by side.

    python tests/bench/bench_outer_step.py                  # CIFAR-10 and CIFAR-100: a minute
    python tests/bench/bench_outer_step.py --whole          # every step of it, none scaled up
    python tests/bench/bench_outer_step.py --device cuda --presets cifar10

Random numbers of the right shapes stand for images: no part's time depends on the pixels. The
pre-steps are half of what random truncation allows at most, its mean. Parts are timed by a few
steps, the fastest counts, and scaled up; ``--whole`` runs all of them once. ``autograd`` is what a
plain implementation does, two passes of torch.autograd for every unrolled step. On a GPU a last row
is the step as an encode takes it, recorded as CUDA graphs, always whole. Each way runs in a process
of its own, so that its peak memory is its own.

The floor is the arithmetic of the convolutions alone at the rate of a large matrix product, in the
same number type on the same machine: three passes for a plain step, nine for an unrolled one.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from ddcodec.codecs.podd.presets import PRESETS, PoDDPreset, network_depth
from ddcodec.distill.convnet_grad import loss_gradient, mixed_product
from ddcodec.distill.inner_runs import InnerRuns
from ddcodec.distill.inner_step import InnerLoop
from ddcodec.distill.networks import ConvNet
from ddcodec.distill.rat_bptt import AdamState, Inputs
from ddcodec.judge.networks import ConvNet as Judge
from ddcodec.runtime.device import keep_large_blocks, kept_bytes
from ddcodec.runtime.rng import generator
from ddcodec.runtime.world import neutral

CHUNK = 500  # real images at once
WAYS = {
    "autograd, float32": (False, None),
    "written out, float32": (True, None),
    "written out, bfloat16": (True, torch.bfloat16),
    "recorded, bfloat16": (True, torch.bfloat16),
}
RECORDED = "recorded, bfloat16"  # on GPUs only


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="+", default=["cifar10", "cifar100"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="0: as torch chooses")
    parser.add_argument("--repeat", type=int, default=3, help="the fastest of so many counts")
    parser.add_argument("--whole", action="store_true", help="run all steps, scale nothing up")
    parser.add_argument("--way", help=argparse.SUPPRESS)  # of the process that measures it
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if args.way:
        print(json.dumps(measured(PRESETS[args.presets[0]], args.way, args)))
        return
    for name in args.presets:
        preset = PRESETS[name]
        assert preset.shape is not None
        depth = network_depth(*preset.shape[1:3])
        print(
            f"{name}: ConvNet-{depth} width 128, {preset.distilled_batch} patches a step, "
            f"window {preset.window} of {preset.total_steps}, {preset.real_batch} real images, "
            f"{args.device}, {args.threads or torch.get_num_threads()} threads"
        )
        head = ("plain ms", "unrolled ms", f"{CHUNK} real ms", "step s", "floor s", "share", "GiB")
        print(f"{'':<24}" + "".join(f"{h:>13}" for h in head) + f"{'ratio':>8}")
        first = None
        on_gpu = torch.device(args.device).type == "cuda"
        for way in (way for way in WAYS if on_gpu or way != RECORDED):
            found = elsewhere(name, way, args)
            first = first or found["step"]
            shown = (
                f"{1e3 * found['plain']:.1f}", f"{1e3 * found['unrolled']:.1f}",
                f"{1e3 * found['real']:.0f}", f"{found['step']:.2f}", f"{found['floor']:.2f}",
                f"{found['floor'] / found['step']:.0%}", f"{found['memory']:.2f}",
            )  # fmt: skip
            ratio = first / found["step"]
            print(f"{way:<24}" + "".join(f"{s:>13}" for s in shown) + f"{ratio:>7.2f}x", flush=True)


def elsewhere(name: str, way: str, args: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--presets", name, "--way", way, "--device", args.device]
    command += ["--threads", str(args.threads), "--repeat", str(args.repeat)]
    command += ["--whole"] if args.whole else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measured(preset: PoDDPreset, way: str, args: argparse.Namespace) -> dict[str, float]:
    if args.threads:
        torch.set_num_threads(args.threads)
    keep_large_blocks()
    by_hand, dtype = WAYS[way]
    device = torch.device(args.device)
    assert preset.shape is not None
    classes, side, _, channels = preset.shape
    net = ConvNet(channels, side, side, classes, network_depth(side, side), 128)
    g = generator(0, "bench")
    count = preset.distilled_batch
    x = torch.randn(count, channels, side, side, generator=g).to(device)
    y = F.one_hot(torch.arange(count) % classes, classes).float().to(device)
    real_x = torch.randn(CHUNK, channels, side, side, generator=g).to(device)
    real_y = F.one_hot(torch.arange(CHUNK) % classes, classes).float().to(device)
    flat = net.init(g, device)
    direction = torch.randn(net.num_params, generator=g).to(device)

    def plain(images: Tensor, labels: Tensor) -> Callable[[], object]:
        if by_hand:
            return lambda: loss_gradient(net, flat, images, labels, dtype)
        return lambda: autograd_gradient(net, flat, images, labels)

    def unrolled(kept: bool) -> Callable[[], object]:
        def work() -> object:
            if not by_hand:
                plain(x, y)()  # forward through the window, again on the way back
                return autograd_mixed(net, flat, x, y, direction)
            tape = loss_gradient(net, flat, x, y, dtype)
            if not kept:
                tape = loss_gradient(net, flat, x, y, dtype)
            return mixed_product(tape, direction)

        return work

    pre = (preset.total_steps - preset.window) // 2
    found = {
        "plain": fastest(plain(x, y), args.repeat, device),
        "again": fastest(unrolled(False), args.repeat, device),
        "kept": fastest(unrolled(True), args.repeat, device),
        "real": fastest(plain(real_x, real_y), args.repeat, device),
    }
    room = kept_bytes(device) // (net.tape_numbers(count) * (dtype or torch.float32).itemsize)
    kept = min(preset.window, room) if by_hand else 0
    found["unrolled"] = found["again"] + kept / preset.window * (found["kept"] - found["again"])
    found["step"] = (
        pre * found["plain"]
        + preset.window * found["unrolled"]
        + preset.real_batch / CHUNK * found["real"]
    )
    if way == RECORDED or (args.whole and by_hand):
        recording = InnerRuns.on(device, net, lambda text: print(text, file=sys.stderr))
        runs = recording if way == RECORDED else InnerRuns(net, None)
        found["step"] = whole(runs, flat, (x, y), (real_x, real_y), preset, dtype, pre)
    passes = count * (3 * pre + 9 * preset.window) + 3 * preset.real_batch
    found["floor"] = passes * one_pass(net) / matrix_rate(dtype or torch.float32, device)
    if device.type == "cuda":
        found["memory"] = torch.cuda.max_memory_reserved(device) / 2**30  # with that of graphs
    else:
        found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return found


def whole(
    runs: InnerRuns,
    flat: Tensor,
    distilled: tuple[Tensor, Tensor],
    real: tuple[Tensor, Tensor],
    preset: PoDDPreset,
    dtype: torch.dtype | None,
    pre: int,
) -> float:
    """Return the seconds of a whole outer step, augmentation and all, after a first one."""
    repeats = preset.real_batch // CHUNK
    whole_real = real[0].repeat(repeats, 1, 1, 1), real[1].argmax(1).repeat(repeats)
    inner = InnerLoop(
        1e-3,
        augment="flip_rotate",
        dtype=dtype,
        kept_bytes=kept_bytes(flat.device),
    )

    def step() -> object:
        state = runs.advance(Inputs(AdamState.fresh(flat), *distilled, [None] * pre, inner))
        return runs.unroll(Inputs(state, *distilled, [None] * preset.window, inner, whole_real))

    with neutral():  # as an encode takes it
        return fastest(step, 1, flat.device)


def plain(net: ConvNet, flat: Tensor, x: Tensor) -> Tensor:
    with torch.device("meta"):
        module = Judge((net.channels, net.height, net.width), net.classes, net.depth, net.filters)
    names = [name for name, _ in module.named_parameters()]
    return functional_call(module, dict(zip(names, net.views(flat), strict=True)), (x,))


def autograd_gradient(net: ConvNet, flat: Tensor, x: Tensor, y: Tensor) -> Tensor:
    flat = flat.detach().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(plain(net, flat, x), y), flat)[0]


def autograd_mixed(
    net: ConvNet, flat: Tensor, x: Tensor, y: Tensor, direction: Tensor
) -> tuple[Tensor, ...]:
    leaves = [t.detach().requires_grad_() for t in (flat, x, y)]
    loss = F.cross_entropy(plain(net, leaves[0], leaves[1]), leaves[2])
    (gradient,) = torch.autograd.grad(loss, leaves[0], create_graph=True)
    return torch.autograd.grad(gradient, leaves, direction)


def one_pass(net: ConvNet) -> float:
    """Return the floating-point operations of all convolutions of one image."""
    total, incoming, height, width = 0.0, net.channels, net.height, net.width
    for _ in range(net.depth):
        total += 2.0 * 9 * incoming * net.filters * height * width
        incoming, height, width = net.filters, height // 2, width // 2
    return total


def matrix_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Return the floating-point operations a second of a large matrix product."""
    size = 8192 if device.type == "cuda" else 2048
    a = torch.randn(size, size, device=device).to(dtype)
    return 2.0 * size**3 / fastest(lambda: a @ a, 5, device)


def fastest(work: Callable[[], object], repeat: int, device: torch.device) -> float:
    work()  # buffers of every size, kernels chosen
    best = float("inf")
    for _ in range(repeat):
        synchronise(device)
        start = time.perf_counter()
        work()
        synchronise(device)
        best = min(best, time.perf_counter() - start)
    return best


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
