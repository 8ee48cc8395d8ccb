"""``ddcodec sweep``: lists as people write them, lines on stderr, results on stdout and in DIR."""

from __future__ import annotations

import importlib.util
import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from ddcodec_cli.sweep import ListCommand
from PIL import Image

Run = Callable[..., Any]

QUICK = ("--profile", "quick", "--steps", "2", "--device", "cpu", "--nets", "1")
FEW = (*QUICK, "--train-steps", "3", "--no-baselines")


@pytest.mark.parametrize(
    ("given", "ipc", "bits"),
    [
        ("--ipc 0.4 0.9 SRC --bits 8 4 --out o", ["0.4", "0.9"], ["8", "4"]),
        ("SRC --ipc 0.4 .9 1 --bits 4 -o o", ["0.4", ".9", "1"], ["4"]),
        ("--ipc 0.4,0.9 --bits 8,4 -o o SRC", ["0.4,0.9"], ["8,4"]),
        ("--ipc 0.4 --ipc 0.9 -o o SRC --bits=8", ["0.4", "0.9"], ["8"]),
        ("SRC --ipc -1 -o o --bits nine", ["-1"], ["nine"]),
        ("-o 7 --ipc 1 --bits 8 -- SRC", ["1"], ["8"]),
    ],
)
def test_lists_take_several_words(given: str, ipc: list[str], bits: list[str]) -> None:
    seen: dict[str, Any] = {}

    def command(
        source: str,
        out: Annotated[str, typer.Option("-o", "--out")],
        ipc: Annotated[list[str], typer.Option()],
        bits: Annotated[list[str], typer.Option()],
    ) -> None:
        seen.update(source=source, ipc=ipc, bits=bits)

    app = typer.Typer()
    app.command(cls=ListCommand)(command)
    app(args=given.split(), standalone_mode=False)
    assert seen == {"source": "SRC", "ipc": ipc, "bits": bits}


def test_a_sweep_says_what_it_does_and_prints_a_table(run: Run, tmp_path: Path) -> None:
    outcome = run("sweep", "digits", "--ipc", "0.4", "0.9", "--bits", "8", "4", *FEW, "-o", "out")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("digits: accuracy on 397 test images of digits, mean ± std of 1 ")
    assert len(outcome.out.splitlines()) == 4 + 4
    assert "distilled, 4 bits" in outcome.out
    assert "[1/4] 0.4 IPC, bits=8, seed 0 ..." in outcome.err
    assert outcome.err.splitlines()[-1] == "out: sweep.json, sweep.csv, sweep.md, sweep.png"
    with Image.open(tmp_path / "out" / "sweep.png") as picture:
        assert picture.width == 1200

    again = run("sweep", "digits", "--ipc", "0.4,0.9", "--bits", "8,4", *FEW, "-o", "out")
    assert again.code == 0
    assert again.out == outcome.out
    assert again.err.count("(was there)") == 4


def test_json_is_the_record_and_the_commands_make_the_same_file(run: Run, tmp_path: Path) -> None:
    words = ("--bits", "4", "--seed", "0", "1", *FEW, "--json", "--no-plot", "-o", "out")
    outcome = run("sweep", "digits", "--ipc", "0.4", *words)
    assert outcome.code == 0, outcome.err
    record = json.loads(outcome.out)
    assert record == json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert not (tmp_path / "out" / "sweep.png").exists()
    assert [entry["seed"] for entry in record["points"]] == [0, 1]
    point = record["points"][1]
    encode, train = (shlex.split(command) for command in point["commands"])
    assert run(*encode[1:]).code == 0
    facts = json.loads(run("info", point["file"], "--json").out)
    assert facts["content_digest"] == point["content_digest"]
    found = json.loads(run(*train[1:], "--json").out)
    assert found["accuracy_mean"] == point["accuracy_mean"]


@pytest.mark.usefixtures("few_steps")
def test_budgets_may_be_bytes(run: Run, tmp_path: Path) -> None:
    outcome = run("sweep", "digits", "--bytes", "1400", "1700", *FEW, "--no-plot", "-o", "out")
    assert outcome.code == 0, outcome.err
    assert "[1/2] 1,400 bytes, seed 0 ..." in outcome.err
    names = ["bytes1400-seed0.ddset", "bytes1700-seed0.ddset"]
    assert sorted(path.name for path in Path("out").glob("*.ddset")) == names


def test_a_path_is_tested_on_itself_and_time_gives_steps(
    run: Run, make_source: Callable[..., Path]
) -> None:
    make_source()
    words = ("--time", "1s", "--profile", "quick", "--nets", "1", "--train-steps", "2")
    outcome = run("sweep", "shades.npz", "--ipc", "1", *words, "-o", "out", "--json", "--no-plot")
    assert outcome.code == 0, outcome.err
    record = json.loads(outcome.out)
    encode, train = record["points"][0]["commands"]
    assert encode.startswith("ddcodec encode shades.npz --ipc 1 --steps ")
    assert "--test shades.npz" in train
    assert {entry["name"] for entry in record["baselines"]} >= {"random_images_jpeg", "k_means"}
    assert record["full_data"]["accuracy_mean"] is not None


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (("digits", "--out", "o"), 2, "--ipc"),
        (("digits", "--ipc", "0.4"), 2, "--out"),
        (("digits", "--ipc", "many", "--out", "o"), 2, "--ipc 'many' is not a number"),
        (("digits", "--ipc", "0.4", "--bits", "1", "--out", "o"), 2, "bits=1"),
        (("digits", "--ipc", "0.4", "--bits", "x", "--out", "o"), 2, "--bits 'x'"),
        (("digits", "--ipc", "0.4", "--quality", "best", "--out", "o"), 2, "best"),
        (("digits", "--ipc", "1", "--preprocessing", "x", "--out", "o"), 2, "--preprocessing x"),
        (("digits", "--ipc", "-1", "--out", "o"), 2, "--ipc must be more than 0"),
        (("digits", "--ipc", "0.4", "--nets", "0", "--out", "o"), 2, "--nets"),
        (("digits", "--ipc", "0.4", "--out", "o", "--device", "abacus"), 2, "abacus"),
        (("digits", "--ipc", "0.4", "--time", "9", "--out", "o"), 2, "--time 9"),
        (("digits", "--ipc", "0.4", "--patches", "9", "--out", "o"), 2, "--patches 9"),
        (
            ("digits", "--ipc", "1", "--squeeze", "9", "--out", "o"),
            2,
            "--squeeze belongs to the codec lic",
        ),
        (("nothing-here", "--ipc", "0.4", "--out", "o"), 5, "nothing-here"),
    ],
)
def test_what_cannot_work_is_one_line_and_leaves_nothing(
    run: Run, tmp_path: Path, words: tuple[str, ...], code: int, named: str
) -> None:
    outcome = run("sweep", *words)
    assert outcome.code == code, outcome.err
    assert named in outcome.error_line
    assert outcome.out == ""
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_nothing_is_begun(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else real(name)
    )
    outcome = run("sweep", "digits", "--ipc", "0.4", *FEW, "-o", "out")
    assert outcome.code == 4
    assert "pip install 'ddcodec[plot]'" in outcome.error_line
    assert list(tmp_path.iterdir()) == []
    assert run("sweep", "digits", "--ipc", "0.4", *FEW, "-o", "out", "--no-plot").code == 0


INTERRUPT_AT_THE_SECOND = """
import os, signal, sys
import ddcodec_cli.sweep as sweep
from ddcodec_cli.app import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in background
old = sweep.Lines.begins
def begins(self, what, number, of):
    old(self, what, number, of)
    if number == 2:
        os.kill(os.getpid(), signal.SIGINT)
sweep.Lines.begins = begins
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGINT"), reason="no such signal")
def test_ctrl_c_leaves_what_is_finished_and_says_how_to_go_on(run: Run, tmp_path: Path) -> None:
    words = ["sweep", "digits", "--ipc", "0.4", "--seed", "0", "1", *FEW, "-o", "out"]
    child = subprocess.run(
        [sys.executable, "-c", INTERRUPT_AT_THE_SECOND, *words],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert child.returncode == 130, child.stderr
    last = child.stderr.splitlines()[-1]
    assert last == "interrupted after 1 of 2; run the same command to go on"
    outcome = run(*words)
    assert outcome.code == 0
    assert outcome.err.count("(was there)") == 1
