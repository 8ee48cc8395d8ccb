"""What an encode holds at its peak, as the system counts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ddcodec import encode
from ddcodec.codecs.podd import outer_loop
from ddcodec.codecs.podd.outer_loop import Distiller
from ddcodec.codecs.podd.plan import Stage
from ddcodec.sources import Source

MEANS = """
import numpy as np, torch
from ddcodec.codecs.podd.initial import ClassMeans
from ddcodec.preprocessing import real
from ddcodec.preprocessing.transform import Preprocess
from ddcodec.runtime.device import keep_large_blocks
from ddcodec.runtime.memory import peak_memory

keep_large_blocks()
torch.set_num_threads(1)
real.HELD_BYTES = 0
images = np.zeros((2400, 96, 96, 3), np.uint8)
inputs = real.RealImages(images, Preprocess({"kind": "none"}, 3, 96, 96), torch.device("cpu"))
means = ClassMeans((inputs, torch.arange(2400) % 60), 60)
means.of(0, 1)
before = peak_memory()
for label in range(1, 60):
    means.of(label, 1)
print(peak_memory() - before)
"""


def test_the_means_of_sixty_classes_take_the_memory_of_those_of_one() -> None:
    done = subprocess.run([sys.executable, "-c", MEANS], capture_output=True, text=True, check=True)
    images_of_a_class = 40 * 96 * 96 * 3 * 4
    assert int(done.stdout) < 10 * images_of_a_class


def test_a_long_run_holds_the_most_before_its_first_stage_and_gives_the_same_file(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods: list[str] = []
    take = Distiller._outer_step

    def seen(self: Distiller, stage: Stage) -> float:
        methods.append(stage.method)
        return take(self, stage)

    monkeypatch.setattr(Distiller, "_outer_step", seen)
    run = {"ipc": 0.4, "profile": "quick", "steps": 5, "kernel_steps": 2, "device": "cpu"}
    plain = encode(digits, out=tmp_path / "plain.ddset", **run)
    assert methods == ["kernel"] * 2 + ["pool"] * 3
    methods.clear()
    monkeypatch.setattr(outer_loop, "LONG", 3)
    held = encode(digits, out=tmp_path / "held.ddset", **run)
    assert methods == ["pool"] * 2 + ["kernel"] * 2 + ["pool"] * 3
    assert held.content_digest == plain.content_digest
