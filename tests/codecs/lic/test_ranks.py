"""Several processes make one file, and it is the file of one process."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from ddcodec import UsageError, encode, info
from ddcodec.codecs.lic import encode as module
from ddcodec.codecs.shared.groups import Parts
from ddcodec.runtime.ranks import Ranks, joined, world_size
from ddcodec.sources import Source
from tests.helpers.lic_runs import groups_made
from tests.helpers.torchrun import ENVIRONMENT, command, run

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Alone(Ranks):
    """A rank whose companions are lost: it stops where it waits for their groups."""

    waits: list[None] = field(default_factory=list)

    def wait(self) -> None:
        self.waits.append(None)
        if len(self.waits) > 1:
            raise InterruptedError


def test_what_lost_processes_finished_is_not_made_again(
    digits: Source, observer_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddcodec.codecs.lic.params.GROUP", 2)  # two classes at 1 IPC
    settings = {"observer": observer_file, "ipc": 1, "steps": 3, "device": "cpu"}
    whole = encode(digits, tmp_path / "a.ddset", "lic", **settings)
    out = tmp_path / "b.ddset"
    for rank in (0, 1):
        with monkeypatch.context() as patch:
            patch.setattr(module, "joined", lambda rank=rank: nullcontext(Alone(rank, 3)))
            with pytest.raises(InterruptedError):
                encode(digits, out, "lic", resume=True, **settings)
    done = sorted(path.stem for path in Parts(out, "").folder.iterdir())
    assert done == ["000000", "000001", "000003", "000004"]
    made = groups_made(monkeypatch)
    assert encode(digits, out, "lic", resume=True, **settings).content_digest == (
        whole.content_digest
    )
    assert made == [range(4, 6)]
    assert out.read_bytes() == (tmp_path / "a.ddset").read_bytes()


def words(observer_file: Path, *more: str) -> list[object]:
    start = ["encode", "digits", "--codec", "lic", "--ipc", "20", "--device", "cpu"]
    return [*start, "--observer", observer_file, *more]


@pytest.mark.slow
def test_two_processes_write_the_file_of_one(
    digits: Source, observer_file: Path, tmp_path: Path
) -> None:
    settings = {"observer": observer_file, "ipc": 20, "steps": 2, "device": "cpu"}
    one = encode(digits, tmp_path / "one.ddset", "lic", **settings)
    said = run(tmp_path, *words(observer_file, "--steps", "2", "-o", "two.ddset"))
    assert said.count("two.ddset: ") == 1  # one process speaks
    assert info(tmp_path / "two.ddset")["content_digest"] == one.content_digest
    assert (tmp_path / "two.ddset").read_bytes() == (tmp_path / "one.ddset").read_bytes()
    assert not (tmp_path / "two.ddset.checkpoint").exists()


@pytest.mark.slow
def test_two_processes_share_a_file_of_so_many_bytes(digits: Source, tmp_path: Path) -> None:
    settings = {"labels": "live", "total_bytes": 6000, "epochs": 0.5, "device": "cpu"}
    one = encode(digits, tmp_path / "one.ddset", "lic", **settings)
    budget = ["--labels", "live", "--bytes", "6000", "--epochs", "0.5", "--device", "cpu"]
    said = run(tmp_path, "encode", "digits", "--codec", "lic", *budget, "-o", "two.ddset")
    assert said.count("network: ") == 1  # one process trains it
    assert info(tmp_path / "two.ddset")["content_digest"] == one.content_digest
    assert (tmp_path / "two.ddset").read_bytes() == (tmp_path / "one.ddset").read_bytes()
    assert not (tmp_path / "two.ddset.checkpoint").exists()


def process_of_rank(rank: int, parent: int) -> int | None:
    """Return the process that torchrun started for a rank, once it runs."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            inherited = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile
        if int(inherited) == parent and f"RANK={rank}".encode() in variables:
            return int(folder.name)
    return None


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_a_killed_process_costs_its_unfinished_class_and_no_more(
    digits: Source, observer_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"observer": observer_file, "ipc": 20, "steps": 20, "device": "cpu"}
    encode(digits, tmp_path / "one.ddset", "lic", **settings)
    out = tmp_path / "two.ddset"
    folder = Parts(out, "").folder
    both = subprocess.Popen(
        command(*words(observer_file, "--steps", "20", "-o", "two.ddset")),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
    )

    def finished() -> set[int]:
        return {int(path.stem) for path in folder.glob("*.safetensors")}

    try:
        deadline = time.monotonic() + 120
        while not any(number % 2 for number in finished()):
            assert time.monotonic() < deadline
            assert both.poll() is None
            time.sleep(0.005)
        before = finished()
        victim = process_of_rank(1, both.pid)
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        assert both.wait(120) != 0
    finally:
        both.kill()
        both.wait()
    kept = finished()
    assert before <= kept
    assert not out.exists()
    # Rank 1 went through its classes in order and lost at most the one that it was at.
    mine = [number for number in range(10) if number % 2]
    assert [number for number in mine if number in kept] == mine[: len(kept & set(mine))]

    made = groups_made(monkeypatch)
    encode(digits, out, "lic", resume=True, **settings)
    assert [group.start for group in made] == sorted(set(range(10)) - kept)
    assert out.read_bytes() == (tmp_path / "one.ddset").read_bytes()
    assert info(out)["content_digest"] == info(tmp_path / "one.ddset")["content_digest"]


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


def test_posters_in_stages_are_made_in_one_process(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert world_size() == 2
    with pytest.raises(UsageError, match="ppodd works in one process"):
        encode(digits, tmp_path / "x.ddset", "ppodd", ipc=0.5)
