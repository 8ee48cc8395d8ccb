"""Several processes make one file, and it is the file of one process."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch

from ddcodec import LICOptions, UsageError, encode, info
from ddcodec.codecs.lic import encode as module
from ddcodec.codecs.lic.encode import Parts, Run
from ddcodec.codecs.lic.params import LICParams, make_params
from ddcodec.observers.file import load
from ddcodec.observers.recipe import Recipe
from ddcodec.observers.train import train
from ddcodec.ranks import Ranks, joined, world_size
from ddcodec.sources import Source

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def observer_file(tmp_path_factory: pytest.TempPathFactory, digits: Source) -> Path:
    path = tmp_path_factory.mktemp("observer") / "digits.safetensors"
    train(digits, "convnet3", path, epochs=1, recipe=Recipe(steps=1, batch_size=32, augment="crop"))
    return path


@dataclass(frozen=True)
class Alone(Ranks):
    """A rank whose companions are lost: it stops where it waits for their groups."""

    waits: list[None] = field(default_factory=list)

    def wait(self) -> None:
        self.waits.append(None)
        if len(self.waits) > 1:
            raise InterruptedError


def settings(observer_file: Path) -> LICParams:
    params = make_params(
        LICOptions(observer_file), ipc=1, height=8, width=8, classes=10, iterations=3
    )
    return replace(params, group=2)


def make(source: Source, observer_file: Path, out: Path, run: Run) -> str:
    manifest = module.encode(
        source,
        source.by_class(),
        load(observer_file),
        settings(observer_file),
        run,
        out,
        "ddcodec encode digits",
    )
    return manifest.content_digest


def test_what_lost_processes_finished_is_not_made_again(
    digits: Source, observer_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make(digits, observer_file, tmp_path / "a.ddset", Run(CPU))
    out = tmp_path / "b.ddset"
    for rank in (0, 1):
        with pytest.raises(InterruptedError):
            make(digits, observer_file, out, Run(CPU, True, ranks=Alone(rank, 3)))
    done = sorted(path.stem for path in Parts(out, "").folder.iterdir())
    assert done == ["000000", "000001", "000003", "000004"]
    made: list[range] = []
    original = module.GroupMaker.make

    def counted(self: module.GroupMaker, group: range) -> module.Group:
        made.append(group)
        return original(self, group)

    monkeypatch.setattr(module.GroupMaker, "make", counted)
    assert make(digits, observer_file, out, Run(CPU, True)) == whole
    assert made == [range(4, 6)]
    assert out.read_bytes() == (tmp_path / "a.ddset").read_bytes()


def torchrun(folder: Path, observer_file: Path, *words: str, processes: int = 2) -> str:
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone",
        "--nproc-per-node", str(processes), "-m", "ddcodec",
        "encode", "digits", "--codec", "lic", "--ipc", "20", "--steps", "2",
        "--observer", str(observer_file), "--device", "cpu", *words,
    ]  # fmt: skip
    done = subprocess.run(
        command,
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_two_processes_write_the_file_of_one(
    digits: Source, observer_file: Path, tmp_path: Path
) -> None:
    lic = LICOptions(observer_file)
    one = encode(digits, "lic", ipc=20, steps=2, out=tmp_path / "one.ddset", lic=lic, device="cpu")
    said = torchrun(tmp_path, observer_file, "-o", "two.ddset")
    assert said.count("two.ddset: ") == 1  # one process speaks
    assert info(tmp_path / "two.ddset")["content_digest"] == one.content_digest
    assert (tmp_path / "two.ddset").read_bytes() == (tmp_path / "one.ddset").read_bytes()
    assert not (tmp_path / "two.ddset.checkpoint").exists()


def test_ranks_share_the_groups_out() -> None:
    shares = [[n for n in range(11) if Ranks(rank, 3).mine(n)] for rank in range(3)]
    assert sorted(sum(shares, [])) == list(range(11))  # noqa: RUF017
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert Ranks().device(CPU) == CPU


def test_processes_that_cannot_meet_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MASTER_ADDR", "MASTER_PORT", "RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="start them with torchrun"), joined():
        pass
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(UsageError, match="WORLD_SIZE"), joined():
        pass


def test_posters_are_made_in_one_process(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert world_size() == 2
    with pytest.raises(UsageError, match="torchrun is for lic"):
        encode(digits, ipc=0.5, out=tmp_path / "x.ddset")
