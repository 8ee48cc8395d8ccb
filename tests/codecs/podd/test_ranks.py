"""Meta-batches: averaged in one process, or shared out over several."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ddcodec import encode, info
from ddcodec.codecs.podd.options import PoDD
from ddcodec.errors import UsageError
from ddcodec.sources import Source
from tests.helpers.reporters import StopAfter
from tests.helpers.torchrun import ENVIRONMENT, run

QUICK = ("--ipc", "0.4", "--profile", "quick", "--steps", "8")
SMALL = ("--ipc", "0.2", "--expand", "1.5", "--profile", "quick", "--steps", "4")
PAPER = ("--ipc", "0.4", "--profile", "paper", "--steps", "1", "--truncation", "adaptive")


ENCODE = ("encode", "digits", "--device", "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("words", [QUICK, PAPER, SMALL], ids=["quick", "paper", "expand"])
def test_two_processes_write_the_file_of_one_with_two_meta_batches(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    run(tmp_path, *ENCODE, *words, "--meta-batches", "2", "-o", "one.ddset", processes=1)
    said = run(tmp_path, *ENCODE, *words, "-o", "two.ddset")
    assert said.count("two.ddset: ") == 1  # one process speaks
    assert (tmp_path / "two.ddset").read_bytes() == (tmp_path / "one.ddset").read_bytes()
    assert not (tmp_path / "two.ddset.checkpoint").exists()


def test_meta_batches_change_the_result_and_the_command_names_them(
    digits: Source, tmp_path: Path
) -> None:
    files = [tmp_path / f"{count}.ddset" for count in (1, 2)]
    for count, out in zip((1, 2), files, strict=True):
        encode(digits, ipc=0.4, steps=4, out=out, profile="quick", meta_batches=count)
    one, two = (info(out) for out in files)
    assert one["content_digest"] != two["content_digest"]
    assert "--meta-batches 2" in two["provenance"]["command"]


@pytest.mark.parametrize("profile", ["quick", pytest.param("paper", marks=pytest.mark.slow)])
def test_meta_batches_resume_to_the_same_digest(
    profile: str, digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddcodec.codecs.podd.outer_loop.SNAPSHOT_SECONDS", 0.0)
    settings = {"ipc": 0.4, "steps": 2, "profile": profile, "meta_batches": 2}
    if profile == "paper":
        settings["truncation"] = "adaptive"
    whole = encode(digits, out=tmp_path / "whole.ddset", **settings)
    out = tmp_path / "cut.ddset"
    with pytest.raises(KeyboardInterrupt):
        encode(digits, out=out, reporter=StopAfter(1), **settings)
    assert encode(digits, out=out, resume=True, **settings).content_digest == whole.content_digest


@pytest.mark.slow
def test_processes_that_are_interrupted_go_on_from_what_they_saved(tmp_path: Path) -> None:
    words = (*QUICK[:-1], "30", "-o", "d.ddset")
    file = tmp_path / "d.ddset.checkpoint"
    # What is under test is the last seconds' work, so it is saved more often than every ten.
    starter = (
        "import signal, runpy; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "import ddcodec.codecs.podd.outer_loop as d; d.SAVE_SECONDS = 0.1; "
        "runpy.run_module('ddcodec', run_name='__main__')"
    )
    (tmp_path / "start.py").write_text(starter, encoding="utf-8")
    start = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "start.py", *ENCODE, *words,
    ]  # fmt: skip
    running = subprocess.Popen(
        start, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert file.exists()
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=120)
    assert not (tmp_path / "d.ddset").exists()
    run(tmp_path, *ENCODE, *words, "--resume")
    run(tmp_path, *ENCODE, *words[:-1], "whole.ddset", "--meta-batches", "2", processes=1)
    assert (tmp_path / "d.ddset").read_bytes() == (tmp_path / "whole.ddset").read_bytes()


@pytest.mark.parametrize(
    ("choices", "problem"),
    [
        ({"meta_batches": 0}, "`meta_batches` must be from 1 to 4096, got 0"),
        ({"profile": "quick", "truncation": "adaptive"}, "`truncation` belongs to `profile`=paper"),
        (
            {"profile": "paper", "truncation": "late"},
            "`truncation` must be one of random",
        ),
    ],
)
def test_choices_that_cannot_be_are_named(choices: dict[str, object], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        PoDD(ipc=1, **choices)  # type: ignore[arg-type]
