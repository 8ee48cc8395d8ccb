"""Ctrl-C, SIGTERM and a lost terminal: exit code, one line, and the same command goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ddcodec_cli.app import main

from tests.helpers.interrupted import interrupted

Run = Callable[..., Any]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX systems")
ENCODE = ("encode", "digits", "--ipc", "0.4", "--profile", "quick", "--device", "cpu",
          "--steps", "16")  # fmt: skip
READ = "digits: read 1,400 images of 10 classes (8x8, grey)\n"


def digest(run: Run, path: str) -> str:
    return str(json.loads(run("info", path, "--json").out)["content_digest"])


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_an_interrupted_encode_says_how_to_go_on_and_ends_with_the_same_content(
    run: Run, tmp_path: Path, number: int, code: int
) -> None:
    done = interrupted(tmp_path, *ENCODE, "-o", "cut.ddset", signals=(number,))
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr == READ + (
        "interrupted; the checkpoint is cut.ddset.checkpoint; run the same command with --resume\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.ddset.checkpoint"]

    resumed = run(*ENCODE, "-o", "cut.ddset", "--resume")
    assert resumed.code == 0
    assert resumed.err.startswith(f"{READ}cut.ddset.checkpoint: this run goes on from there\n")
    assert run(*ENCODE, "-o", "whole.ddset").code == 0
    assert digest(run, "cut.ddset") == digest(run, "whole.ddset")
    assert not (tmp_path / "cut.ddset.checkpoint").exists()


def test_a_forgotten_resume_costs_no_work_and_force_begins_anew(run: Run, tmp_path: Path) -> None:
    interrupted(tmp_path, *ENCODE, "-o", "cut.ddset")
    kept = (tmp_path / "cut.ddset.checkpoint").read_bytes()
    outcome = run(*ENCODE, "-o", "cut.ddset")
    assert outcome.code == 5
    assert outcome.error_line == (
        "error: cut.ddset.checkpoint: holds an unfinished run; --resume goes on with it, -f starts "
        "again"
    )
    assert (tmp_path / "cut.ddset.checkpoint").read_bytes() == kept
    assert run(*ENCODE, "-o", "cut.ddset", "-f").code == 0
    assert not (tmp_path / "cut.ddset.checkpoint").exists()


def test_a_signal_that_is_sent_twice_counts_once(tmp_path: Path) -> None:
    """As ``timeout`` sends it, to the command and to its group, while the checkpoint is saved."""
    twice = (signal.SIGTERM, signal.SIGTERM)
    done = interrupted(tmp_path, *ENCODE, "-o", "cut.ddset", signals=twice)
    assert done.returncode == 143
    assert done.stderr.startswith(f"{READ}interrupted; the checkpoint is cut.ddset.checkpoint")
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_the_caller_ignores_stays_ignored(tmp_path: Path, number: int) -> None:
    done = interrupted(
        tmp_path, *ENCODE, "-o", "x.ddset", signals=(number,), ignored=number
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.ddset").exists()


def test_an_interruption_after_the_last_step_loses_nothing(run: Run, tmp_path: Path) -> None:
    done = interrupted(tmp_path, *ENCODE, "-o", "cut.ddset", told="stage", at=8)
    assert done.returncode in (0, 143)
    # Whichever stage it was, the result is there, or the work to make it.
    outcome = run(*ENCODE, "-o", "cut.ddset", "--resume")
    assert outcome.code == (0 if done.returncode else 5)


def test_an_observer_is_kept_and_goes_on_to_the_same_weights(run: Run, tmp_path: Path) -> None:
    words = ("observer", "train", "digits", "--epochs", "2", "--device", "cpu", "--json")
    done = interrupted(tmp_path, *words, "-o", "o.safetensors", at=4)
    assert done.returncode == 143
    assert "interrupted; the checkpoint is o.safetensors.checkpoint" in done.stderr
    again = run(*words, "-o", "o.safetensors")
    assert again.code == 5
    assert "holds an unfinished run" in again.error_line
    resumed = json.loads(run(*words, "-o", "o.safetensors", "--resume").out)
    whole = json.loads(run(*words, "-o", "w.safetensors").out)
    assert resumed["digest"] == whole["digest"]


TRAIN = ("--nets", "3", "--steps", "3", "--device", "cpu")


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_train_keeps_its_networks_and_ends_with_the_same_figures(
    run: Run, tmp_path: Path, digits_file: Path, number: int
) -> None:
    mine = tmp_path / "d.ddset"
    mine.write_bytes(digits_file.read_bytes())
    words = ("train", "d.ddset", *TRAIN, "--baselines", "--json")
    whole = json.loads(run(*words).out)
    assert [path.name for path in tmp_path.iterdir()] == ["d.ddset"]

    # In the second network of the second baseline; the file and one baseline are complete.
    done = interrupted(tmp_path, *words, told="result", at=8, signals=(number,))
    assert (done.returncode, done.stdout) == (128 + number, ""), done.stderr
    (record,) = tmp_path.glob("d.ddset.unfinished-*.json")
    *networks, this, pixels, means, last = done.stderr.removeprefix(READ).splitlines()
    assert len(networks) == 7
    assert networks[0].startswith("this file: network 1 of 3: ")
    accuracy = f"{100 * whole['accuracy_mean']:.1f}"
    assert this.startswith(f"this file: {accuracy} ± ")
    assert this.endswith(" after 3 of 3 networks")
    assert pixels.startswith("random images, same pixels: ")
    assert pixels.endswith(" after 3 of 3 networks")
    assert means.endswith(" after 1 of 3 networks")
    assert last == f"interrupted; the same command goes on from {record.name}"

    resumed = run(*words)
    assert resumed.code == 0
    for report in (again := json.loads(resumed.out), whole):
        report["seconds"] = report["baselines"]["quantised_network_same_bytes"]["seconds"] = 0
    assert again == whole
    # One a network, but one for all of a baseline that was complete.
    assert resumed.err.count("as kept") == 3 + 1 + 1
    assert [path.name for path in tmp_path.iterdir()] == ["d.ddset"]


def test_networks_of_another_run_are_not_taken_for_this_one(
    run: Run, tmp_path: Path, digits_file: Path, make_source: Callable[..., Path]
) -> None:
    mine = tmp_path / "d.ddset"
    mine.write_bytes(digits_file.read_bytes())
    done = interrupted(tmp_path, "train", "d.ddset", *TRAIN, told="result", at=3)
    assert done.returncode == 143
    for more in (("--seed", "1"), ("--steps", "4"), ("--arch", "convnet3")):
        assert "as kept" not in run("train", "d.ddset", *TRAIN, *more).err
    assert list(tmp_path.glob("*.unfinished-*.json"))
    # More of the same networks begin with those that are there.
    assert run("train", "d.ddset", *TRAIN, "--nets", "4").err.count("as kept") == 2


def test_a_table_of_networks_goes_on_and_may_grow(
    run: Run, tmp_path: Path, digits_file: Path
) -> None:
    mine = tmp_path / "d.ddset"
    mine.write_bytes(digits_file.read_bytes())
    words = ("train", "d.ddset", "--nets", "2", *TRAIN[2:], "--json", "--arch")
    whole = json.loads(run(*words, "mlp,vit").out)
    done = interrupted(tmp_path, *words, "mlp", told="result", at=4)
    assert done.returncode == 143
    assert "this file, mlp: " in done.stderr
    # A run without a table is another one: it ends, and leaves the networks of the table.
    assert run("train", "d.ddset", "--nets", "2", *TRAIN[2:]).code == 0
    resumed = run(*words, "mlp,vit")
    assert resumed.err.count("as kept") == 3

    def still(report: dict[str, Any]) -> Any:
        return [row | {"seconds": 0} for row in report["networks"]]

    assert still(json.loads(resumed.out)) == still(whole)
    assert [path.name for path in tmp_path.iterdir()] == ["d.ddset"]


def test_nothing_is_claimed_before_the_first_network(tmp_path: Path, digits_file: Path) -> None:
    mine = tmp_path / "d.ddset"
    mine.write_bytes(digits_file.read_bytes())
    done = interrupted(tmp_path, "train", "d.ddset", *TRAIN, at=1)
    assert done.returncode == 143
    assert done.stderr == READ + "interrupted; no network is kept, the same command begins anew\n"
    assert [path.name for path in tmp_path.iterdir()] == ["d.ddset"]


def test_a_result_that_cannot_be_printed_keeps_its_networks(
    process: Run, run: Run, tmp_path: Path, digits_file: Path
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "d.ddset").write_bytes(digits_file.read_bytes())
    with full.open("w") as sink:
        assert process("train", "d.ddset", *TRAIN, stdout=sink).returncode == 5
    assert run("train", "d.ddset", *TRAIN).err.count("as kept") == 3


@pytest.mark.usefixtures("few_steps")
def test_a_sweep_keeps_the_networks_of_the_point_that_is_not_finished(
    run: Run, tmp_path: Path
) -> None:
    words = ("sweep", "digits", "--ipc", "0.4", "--profile", "quick", "--steps", "2", "--nets",
             "3", "--train-steps", "3", "--device", "cpu", "--no-plot", "--json")  # fmt: skip
    done = interrupted(tmp_path, *words, "-o", "out", told="result", at=6)
    assert (done.returncode, done.stdout) == (143, ""), done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("interrupted after 1 of ")
    begun = json.loads((tmp_path / "out" / "sweep.json").read_text())["begun"]
    assert len(begun) == 2
    resumed, whole = (run(*words, "-o", out) for out in ("out", "whole"))
    assert resumed.err.count("as kept") == 2
    assert whole.err.count("as kept") == 0
    found, expected = (json.loads(outcome.out) for outcome in (resumed, whole))
    assert "begun" not in found
    for entry in (*found["baselines"], *expected["baselines"]):
        entry.pop("seconds", None)  # which the clock decides
    assert found["baselines"] == expected["baselines"]
    assert found["full_data"] == expected["full_data"]
    assert found["points"][0]["per_net"] == expected["points"][0]["per_net"]


def test_handlers_are_set_while_a_command_runs_and_only_in_the_main_thread(run: Run) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert run("--version").code == 0
    assert signal.getsignal(signal.SIGTERM) == before
    codes: list[int] = []
    other = threading.Thread(target=lambda: codes.append(main(["--version"])))
    other.start()
    other.join()
    assert codes == [0]


FORK = """
import os, signal, sys, time
from ddcodec_cli.interruption import signals_interrupt
with signals_interrupt():
    child = os.fork()
    if child == 0:
        print("ready", flush=True)
        time.sleep(60)
        os._exit(0)
    sys.stdin.readline()
    os.kill(child, signal.SIGTERM)
    print(os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)
"""


def test_a_worker_that_is_forked_simply_ends() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", FORK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    out, err = parent.communicate("\n", timeout=60)
    assert (out, err) == (f"{int(signal.SIGTERM)}\n", "")
