from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.interrupted import interrupted

Run = Callable[..., Any]
QUICK = ("--ipc", "0.9", "--profile", "quick", "--device", "cpu")


def digest(run: Run, path: str) -> str:
    return json.loads(run("info", path, "--json").out)["content_digest"]


def test_the_file_is_named_after_the_source_and_summed_up_in_one_line(
    run: Run, tmp_path: Path
) -> None:
    outcome = run("encode", "digits", *QUICK, "--steps", "2")
    assert (outcome.code, outcome.out) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["digits.ddset"]
    size = (tmp_path / "digits.ddset").stat().st_size
    line = outcome.error_line
    assert line.startswith("digits.ddset: ")
    assert f"{size:,} bytes" in line
    assert "pixels" in line
    assert "bits per class" in line


def test_the_same_seed_gives_the_same_content_and_another_does_not(run: Run) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        words = ("--steps", "2", "--seed", seed, "-o", f"{name}.ddset")
        assert run("encode", "digits", *QUICK, *words).code == 0
    assert digest(run, "a.ddset") == digest(run, "b.ddset") != digest(run, "c.ddset")


def test_every_option_reaches_the_file(run: Run) -> None:
    words = ("--steps", "2", "--patches", "7x3", "--labels", "fixed", "--quality", "bits=5")
    assert run("encode", "digits", *QUICK, *words, "--order", "given", "-o", "x.ddset").code == 0
    facts = json.loads(run("info", "x.ddset", "--json").out)
    assert facts["patches"]["grid"] == [7, 3]
    assert facts["patches"]["count"] == 21


def test_a_time_limit_is_kept(run: Run) -> None:
    started = time.monotonic()
    assert run("encode", "digits", *QUICK, "--time", "1s").code == 0
    assert time.monotonic() - started < 20


def test_a_checkpoint_of_other_settings_is_refused(run: Run, tmp_path: Path) -> None:
    words = ["encode", "digits", *QUICK, "--steps", "16", "-o", "cut.ddset"]
    interrupted(tmp_path, *words)
    before = (tmp_path / "cut.ddset.checkpoint").read_bytes()
    outcome = run(*words, "--seed", "9", "--resume")
    assert outcome.code == 2
    assert "checkpoint" in outcome.error_line
    assert (tmp_path / "cut.ddset.checkpoint").read_bytes() == before


def test_resuming_without_a_checkpoint_says_so_and_starts(run: Run) -> None:
    outcome = run("encode", "digits", *QUICK, "--steps", "2", "-o", "x.ddset", "--resume")
    assert outcome.code == 0
    assert outcome.err.startswith("x.ddset.checkpoint: not there")


def test_images_can_be_scaled_and_the_file_says_so(
    run: Run, make_source: Callable[..., Path]
) -> None:
    make_source("shades.npz", side=20)
    words = ("--steps", "1", "--size", "8", "--profile", "quick", "--device", "cpu")
    outcome = run("encode", "shades.npz", "--ipc", "1", *words)
    assert outcome.code == 0, outcome.err
    facts = json.loads(run("info", "shades.ddset", "--json").out)
    assert (facts["image"]["height"], facts["image"]["width"]) == (8, 8)
    assert "--size 8" in facts["provenance"]["command"]
    train = ("train", "shades.ddset", "--test", "shades.npz", "--nets", "1", "--steps", "1")
    assert facts["source"]["size"] == 8
    assert run(*train).code == 0  # the size of the file
    assert run(*train, "--size", "9").code == 2
    assert run("encode", "shades.npz", "--ipc", "1", *words[:3], "0", "-f").code == 2


def test_a_share_that_is_held_out_is_found_again(
    run: Run, make_source: Callable[..., Path]
) -> None:
    make_source("shades.npz", test=False, per_class=10)
    words = ("encode", "shades.npz", "--ipc", "1", "--steps", "1", "--profile", "quick")
    assert run(*words, "-o", "whole.ddset").code == 0
    train = ("--nets", "1", "--steps", "1")
    outcome = run("train", "whole.ddset", *train)
    assert (outcome.code, "hold out a fifth" in outcome.err) == (5, True)
    assert run(*words, "--test-share", "0.2").code == 0
    facts = json.loads(run("info", "shades.ddset", "--json").out)
    assert (facts["source"]["count"], facts["source"]["test_share"]) == (24, 0.2)
    assert "--test-share 0.2" in facts["provenance"]["command"]
    assert " on 6 test images of shades" in run("train", "shades.ddset", *train).out
    outcome = run("train", "whole.ddset", *train, "--test-share", "0.2")
    assert (outcome.code, "has learned from all of it" in outcome.err) == (2, True)


def test_a_known_data_set_that_is_not_here_names_place_and_command(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DDCODEC_DATA", str(tmp_path / "data"))
    outcome = run("encode", "mnist", "--ipc", "1")
    assert outcome.code == 5
    assert str(tmp_path / "data") in outcome.error_line
    assert "--download" in outcome.error_line


def test_posters_in_stages_are_encoded_and_told_about(run: Run) -> None:
    words = ("--codec", "ppodd", "--stages", "2", "--stage-direction", "recent", "--steps", "4")
    outcome = run("encode", "digits", *QUICK, *words, "-o", "p.ddset")
    assert outcome.code == 0, outcome.err
    assert [line.partition(":")[0] for line in outcome.err.splitlines()] == [
        "digits",
        "poster 1 of 2",
        "poster 2 of 2",
        "p.ddset",
    ]
    facts = json.loads(run("info", "p.ddset", "--json").out)
    assert facts["codec"] == "ppodd"
    assert facts["pixels"] == 2 * 570
    assert [set(stage) for stage in facts["stages"]] == [
        {"share", "poster", "labels", "differences"}
    ] * 2
    assert "--codec ppodd --stages 2 --stage-direction recent" in facts["provenance"]["command"]
    shown = run("info", "p.ddset").out
    assert "% of samples" in shown
    assert run("preview", "p.ddset", "-o", "p.png").code == 0
    assert run("train", "p.ddset", "--nets", "1", "--steps", "5").code == 0
    assert run("encode", "digits", *QUICK, "--stages", "2", "-o", "x.ddset").code == 2


def test_an_augmentation_is_used_and_goes_into_the_recipe(run: Run) -> None:
    words = ("--steps", "2", "--augment", "flip_scale_rotate", "-o", "a.ddset")
    assert run("encode", "digits", *QUICK, *words).code == 0
    facts = json.loads(run("info", "a.ddset", "--json").out)
    assert facts["recipe"]["augment"] == "flip_scale_rotate"
    assert "--augment flip_scale_rotate" in facts["provenance"]["command"]
    outcome = run("encode", "digits", *QUICK, "--augment", "warp", "-o", "c.ddset")
    assert outcome.code == 2
    assert "--augment must be one of auto, none, flip" in outcome.error_line
