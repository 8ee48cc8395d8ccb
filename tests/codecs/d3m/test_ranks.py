"""Two processes that torchrun starts make the file of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.torchrun import run


@pytest.mark.slow
def test_two_processes_write_the_file_of_one(
    observer_file: Path, prior_folder: Path, tmp_path: Path
) -> None:
    words = ["encode", "digits", "--codec", "d3m", "--ipc", "1", "--steps", "1", "--device", "cpu"]
    words += ["--sampling-steps", "2", "--observer", str(observer_file)]
    words += ["--prior", str(prior_folder), "-o"]
    run(tmp_path, *words, "one.ddset", processes=1)
    said = run(tmp_path, *words, "two.ddset")
    assert said.count("two.ddset: ") == 1  # one process speaks
    assert (tmp_path / "two.ddset").read_bytes() == (tmp_path / "one.ddset").read_bytes()
    assert not (tmp_path / "two.ddset.checkpoint").exists()
