"""What each stage of LIC is worth, and random images beside it: the tables of docs/lic.md.

    python tests/bench/bench_lic_accuracy.py cifar10 --ipc 1 --steps 300 --final-steps 1000

A share of the training images is held out (``--held-out``, drawn with seed 0). An observer is
trained on the rest, unless ``--observer`` names one that was; the stages are compared on the
held-out images, and only the whole method and the random images are tested on the test split, once.
Every line is a JSON object.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddcodec import encode, load, sources
from ddcodec.coresets.budgets import same_bytes
from ddcodec.coresets.draws import images_by_class, random_draw
from ddcodec.evaluate.baselines import learn
from ddcodec.evaluate.measure import on_file, protocol, train_students
from ddcodec.evaluate.soft_baselines import random_images_with_observer
from ddcodec.observers.file import load as load_observer
from ddcodec.observers.train import train
from ddcodec.observers.training import Recipe
from ddcodec.runtime.device import has_bfloat16
from ddcodec.sources import Source
from ddcodec.sources.split import Split

# Each stage on top of those before it, as in table 7 of the paper.
STAGES: dict[str, dict[str, Any]] = {
    "random": {"select": "random", "compensate": False, "labels": "class"},
    "+ selection": {"compensate": False, "labels": "class"},
    "+ compensation": {"labels": "class"},
    "+ relabelling": {},
}


def parts(source: Source, share: float) -> tuple[Source, Split]:
    """Return the source with a part of its training images only, and the other part."""
    split = source.train
    order = np.random.default_rng(0).permutation(len(split))
    held, kept = np.split(order, [round(share * len(split))])
    held, kept = np.sort(held), np.sort(kept)
    rest = Split(split.images[kept], split.labels[kept])
    splits = {"train": lambda: rest}
    if source.test is not None:
        splits["test"] = source.require_test
    part = Source(source.name, source.classes, splits)
    return part, Split(split.images[held], split.labels[held])


def say(**row: Any) -> None:
    print(json.dumps(row), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("--ipc", type=int, default=1)
    parser.add_argument("--observer", type=Path)
    parser.add_argument("--epochs", type=float, default=12, help="of the observer, ConvNet-3")
    parser.add_argument("--held-out", type=float, default=0.1, help="share of training images")
    parser.add_argument("--nets", type=int, default=4)
    parser.add_argument("--steps", type=int, help="of students on the stages; the recipe's")
    parser.add_argument("--final-steps", type=int, help="on the test split; the recipe's")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the files")
    options = parser.parse_args()
    device = torch.device(options.device)
    precision = "bfloat16" if has_bfloat16(device) else "float32"
    source, held = parts(sources.load(options.source), options.held_out)
    observer = options.observer or options.out / "observer.safetensors"
    if options.observer is None:
        recipe = Recipe(steps=1, augment="auto", precision="auto")
        train(source, "convnet3", observer, epochs=options.epochs, recipe=recipe, device=device)
    settings: dict[str, Any] = {
        "nets": options.nets,
        "device": options.device,
        "precision": precision,
    }
    teacher = load_observer(observer)
    say(observer=teacher.description.accuracy, digest=teacher.digest)
    path = options.out / "lic.ddset"
    for stage, changes in STAGES.items():
        path = options.out / f"{stage.strip('+ ')}-{options.ipc}.ddset"
        encode(
            source, path, "lic", ipc=options.ipc, overwrite=True, device=options.device,
            observer=observer, **changes,
        )  # fmt: skip
        ds = load(path)
        found = train_students(ds, held, steps=options.steps, **settings)
        say(stage=stage, held_out=found.mean, std=found.std, steps=found.steps)
    ds, total, test = load(path), path.stat().st_size, source.require_test()
    trial = protocol(ds, test, steps=options.final_steps, **settings)
    found = on_file(ds, trial)
    say(test="lic", bytes=total, accuracy=found.mean, std=found.std, steps=found.steps)
    by_class = images_by_class(source)
    entry = random_images_with_observer(trial, ds, by_class, teacher, total)
    say(test="random images, the observer's labels", **entry)
    draw = random_draw(by_class, 0)
    budget = same_bytes(total, by_class, draw, options.nets)
    say(test="random images, their classes", **learn("hard", trial, ds, draw, budget))


if __name__ == "__main__":
    main()
