"""Which rate, steps, decay and warm-up suit a network: the record of docs/architectures.md.

    python tests/bench/bench_student_recipes.py F --test SOURCE --arch resnet18 --lr 0.001 0.003

SOURCE must hold images that F was not made from and that nothing else is tested on: a held-out part
of the training split. One line for each setting; the accuracy is that after the last step.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import product

import torch

from ddcodec import load, sources
from ddcodec.evaluate.measure import on_file, protocol, test_split
from ddcodec.judge.field import Way, names_of

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("file")
parser.add_argument("--test", required=True)
parser.add_argument("--arch", required=True, help="a list of networks, all, or own")
parser.add_argument("--lr", type=float, nargs="+", required=True)
parser.add_argument("--steps", type=int, nargs="+", default=[200])
parser.add_argument("--decay", type=float, nargs="+", default=[0.0])
parser.add_argument("--warmup", type=float, nargs="+", default=[0.1])
parser.add_argument("--optimizer", default="adam")
parser.add_argument("--nets", type=int, default=2)
parser.add_argument("--precision", default="float32")
given = parser.parse_args()

ds = load(given.file)
split = test_split(ds, sources.load(given.test))
trial = protocol(ds, split, nets=given.nets, device="cpu", precision=given.precision)
torch.set_num_threads(1)
own = given.arch == "own"
for name in ["own"] if own else names_of(given.arch):
    for lr, steps, decay, warmup in product(given.lr, given.steps, given.decay, given.warmup):
        recipe = Way(lr, steps, decay, warmup, given.optimizer).recipe(trial.recipe, steps)
        one = replace(trial, recipe=recipe, architecture=None if own else name)
        found = on_file(ds, one)
        print(
            f"| {name} | {given.optimizer} | {lr:g} | {steps} | {decay:g} | {warmup:g} "
            f"| {100 * found.mean:.1f} ± {100 * found.std:.1f} | {found.seconds:.1f} s |",
            flush=True,
        )
