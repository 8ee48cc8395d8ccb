"""Memory: the least of what machine, control groups and process limits leave."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ddcodec.runtime import memory
from ddcodec.runtime.memory import available_memory, peak_memory

GIB = 1 << 30
LIMITED = """
import resource, sys
from ddcodec.runtime.memory import available_memory
resource.setrlimit(getattr(resource, sys.argv[1]), (1 << 30, 1 << 30))
print(available_memory())
"""


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    monkeypatch.setattr(memory, "machine_memory", lambda: 64 * GIB)


def write(root: Path, path: str, text: str | int) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(f"{text}\n", encoding="ascii")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, "proc/meminfo", f"MemTotal: 1 kB\nMemAvailable:   {20 << 20} kB")
    return tmp_path


def test_a_machine_without_limits_gives_what_it_has_to_spare(root: Path) -> None:
    assert available_memory(root) == 20 * GIB


def test_the_processes_of_torchrun_share_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert available_memory(root) == 5 * GIB
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "many")
    assert available_memory(root) == 20 * GIB


@pytest.mark.parametrize("mount", ["sys/fs/cgroup", "sys/fs/cgroup/unified"])
@pytest.mark.parametrize("limit", ["memory.max", "memory.high"])
def test_a_group_of_version_2_leaves_its_limit_less_what_is_used(
    root: Path, mount: str, limit: str
) -> None:
    write(root, "proc/self/cgroup", "0::/jobs/one")
    write(root, f"{mount}/jobs/one/{limit}", 8 * GIB)
    write(root, f"{mount}/jobs/one/memory.current", 5 * GIB)
    assert available_memory(root) == 3 * GIB
    # The page cache goes when its memory is wanted.
    write(root, f"{mount}/jobs/one/memory.stat", f"anon 7\ninactive_file {2 * GIB}")
    assert available_memory(root) == 5 * GIB


def test_a_group_of_version_1_counts_and_its_largest_number_is_no_limit(root: Path) -> None:
    write(root, "proc/self/cgroup", "9:name=systemd:/x\n4:cpu,memory:/jobs\n0::/y")
    folder = "sys/fs/cgroup/memory/jobs"
    write(root, f"{folder}/memory.limit_in_bytes", 9223372036854771712)
    assert available_memory(root) == 20 * GIB
    write(root, f"{folder}/memory.limit_in_bytes", 4 * GIB)
    write(root, f"{folder}/memory.usage_in_bytes", 3 * GIB)
    write(root, f"{folder}/memory.stat", f"inactive_file 9\ntotal_inactive_file {GIB}")
    assert available_memory(root) == 2 * GIB


def test_the_groups_above_count_too(root: Path) -> None:
    write(root, "proc/self/cgroup", "0::/jobs/one")
    write(root, "sys/fs/cgroup/jobs/one/memory.max", "max")
    write(root, "sys/fs/cgroup/jobs/memory.max", 2 * GIB)
    write(root, "sys/fs/cgroup/jobs/memory.current", GIB)
    assert available_memory(root) == GIB


def test_a_container_whose_group_has_another_path_outside_finds_its_limit_at_the_top(
    root: Path,
) -> None:
    write(root, "proc/self/cgroup", "0::/../../docker/abc")
    write(root, "sys/fs/cgroup/memory.max", 6 * GIB)
    assert available_memory(root) == 6 * GIB


def test_a_group_that_is_over_its_limit_leaves_nothing(root: Path) -> None:
    write(root, "sys/fs/cgroup/memory.max", GIB)
    write(root, "sys/fs/cgroup/memory.current", 2 * GIB)
    assert available_memory(root) == 0


@pytest.mark.parametrize("text", ["", "word\n", "MemAvailable: many kB\n", "\xff"])
def test_files_that_say_nothing_are_passed_over(tmp_path: Path, text: str) -> None:
    for path in ("proc/meminfo", "proc/self/cgroup", "sys/fs/cgroup/memory.max"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="latin-1")
    assert available_memory(tmp_path) == 32 * GIB  # half of the machine


def test_where_nothing_is_known_some_memory_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "machine_memory", lambda: 0)
    assert available_memory(tmp_path) == memory.UNKNOWN_BYTES


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells what is used")
@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_limits_on_the_process_count(limit: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, limit], capture_output=True, text=True, check=True
    )
    assert 0.1 * GIB < int(done.stdout) < GIB


def test_the_peak_is_at_least_what_was_held() -> None:
    block = bytearray(os.urandom(1 << 20) * 64)
    assert peak_memory() > len(block)
