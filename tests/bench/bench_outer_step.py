"""Time one outer RaT-BPTT step, part by part, at the published CIFAR-10 setting.

    python tests/bench/bench_outer_step.py             # the whole step: minutes on two cores
    python tests/bench/bench_outer_step.py --quick     # a few inner steps, scaled up
    python tests/bench/bench_outer_step.py --device cuda --repeat 3

96 patches, a window of 60 of at most 200 inner steps, 5000 real images, ConvNet-3 of width 128.
Random numbers of the right shapes stand for images: no part's time depends on the pixels. The
pre-steps are 70, the mean of the random truncation. ``meta_gradient`` is timed as a whole, and with
a window of no steps for the real batch alone; window backward is what is left after both and the
same steps without a graph.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import TypeVar

import torch
import torch.nn.functional as F

from ddcodec.distill.memory import keep_large_blocks
from ddcodec.distill.networks import ConvNet
from ddcodec.distill.outer import EmaClip, OuterAdam
from ddcodec.distill.rat_bptt import AdamState, InnerLoop, MetaGradient, inner_steps, meta_gradient
from ddcodec.distill.rng import generator

T = TypeVar("T")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patches", type=int, default=96)
    parser.add_argument("--window", type=int, default=60, help="unrolled inner steps")
    parser.add_argument("--total", type=int, default=200, help="longest inner run")
    parser.add_argument("--real", type=int, default=5000, help="real images")
    parser.add_argument("--chunk", type=int, default=500, help="real images at once")
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--augment", default="flip_rotate")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="0: as torch chooses")
    parser.add_argument("--repeat", type=int, default=0, help="the fastest counts; 0: 1, quick 3")
    parser.add_argument(
        "--quick", action="store_true", help="run 2 + 2 inner steps and 500 images, scale up"
    )
    parser.add_argument(
        "--plain-malloc", action="store_true", help="without what the command line sets"
    )
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    kept = not args.plain_malloc and keep_large_blocks()
    pre_steps = max(0, args.total - args.window) // 2
    window, real = args.window, args.real
    run_pre, run_window, run_real = pre_steps, window, real
    if args.quick:
        run_pre, run_window = min(2, pre_steps), min(2, window)
        run_real = min(args.chunk, real)
    repeat = args.repeat or (3 if args.quick else 1)

    device = torch.device(args.device)
    g = generator(0, "bench")
    net = ConvNet(3, args.side, args.side, args.classes, args.depth, args.width)
    patches = torch.randn(args.patches, 3, args.side, args.side, generator=g).to(device)
    labels = F.one_hot(torch.arange(args.patches) % args.classes, args.classes).float().to(device)
    real_x = torch.randn(run_real, 3, args.side, args.side, generator=g).to(device)
    real_y = torch.randint(args.classes, (run_real,), generator=g).to(device)
    inner = InnerLoop(
        lr=1e-3,
        augment_synthetic=args.augment,
        augment_real=args.augment,
        real_chunk=args.chunk,
    )

    def timed(work: Callable[[], T]) -> tuple[float, T]:
        best = float("inf")
        for _ in range(repeat):
            synchronise(device)
            start = time.perf_counter()
            result = work()
            synchronise(device)
            best = min(best, time.perf_counter() - start)
        return best, result

    def steps(count: int) -> list[None]:
        return [None] * count

    def window_gradient(state: AdamState, unrolled: int) -> Callable[[], MetaGradient]:
        return lambda: meta_gradient(
            net, state, patches, labels, steps(unrolled), real_x, real_y, inner
        )

    state = AdamState.fresh(net.init(g, device))
    window_gradient(state, 1)()  # warm up: buffers of every size, kernels chosen
    print(
        f"ConvNet-{args.depth} width {args.width} ({net.num_params:,} parameters), "
        f"{args.patches} patches, window {window} of {args.total}, {real} real images, "
        f"{device.type}, {torch.get_num_threads()} threads, "
        f"large blocks {'kept' if kept else 'returned'}"
    )

    pre, state = timed(lambda: inner_steps(net, state, patches, labels, steps(run_pre), inner))
    forward, end = timed(lambda: inner_steps(net, state, patches, labels, steps(run_window), inner))
    batch, _ = timed(window_gradient(end, 0))  # a window of no steps: the real batch alone
    whole, _ = timed(window_gradient(state, run_window))
    backward = max(0.0, whole - forward - batch)

    poster = torch.zeros(3, 60, 153, device=device)
    adam, clip = OuterAdam([poster], [1e-3], (0.9, 0.999)), EmaClip()
    outer, _ = timed(lambda: adam.step([clip(torch.ones_like(poster))]))

    parts = {
        f"pre-steps ({pre_steps})": pre * pre_steps / max(1, run_pre),
        f"window forward ({window})": forward * window / max(1, run_window),
        f"window backward ({window})": backward * window / max(1, run_window),
        f"real batch ({real})": batch * real / run_real,
        "clip and outer Adam": outer,
    }
    total = sum(parts.values())
    print(f"{'part':<24}{'seconds':>9}{'share':>8}")
    for name, seconds in parts.items():
        print(f"{name:<24}{seconds:>9.3f}{seconds / total:>8.1%}")
    scaled = ", scaled up from a few inner steps" if args.quick else ""
    print(f"{'one outer step':<24}{total:>9.3f}{1:>8.0%}{scaled}")
    if device.type == "cuda":
        print(f"peak memory {torch.cuda.max_memory_allocated(device) / 2**30:.2f} GiB")


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
