"""How much memory there is and how much was used: of the machine, the container, the process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

UNKNOWN_BYTES = 1 << 31  # where no limit is known at all
NO_LIMIT = 1 << 60  # what is larger is a way to say that there is none
ROOT = Path("/")  # of the files that Linux tells in
# Where the groups of a controller lie: the limits, what is used, and what of it may be dropped.
GROUPS = (
    ("", "sys/fs/cgroup", ("memory.max", "memory.high"), "memory.current", "inactive_file"),
    ("", "sys/fs/cgroup/unified", ("memory.max", "memory.high"), "memory.current",
     "inactive_file"),
    ("memory", "sys/fs/cgroup/memory", ("memory.limit_in_bytes",), "memory.usage_in_bytes",
     "total_inactive_file"),
)  # fmt: skip
RLIMITS = (("RLIMIT_AS", 0), ("RLIMIT_DATA", 5))  # and what counts for each, in /proc/self/statm


def available_memory(root: Path = ROOT) -> int:
    """Return the bytes that this process may still take without swapping or being killed.

    The least of what the machine has to spare, what every control group around the process (cgroup
    v1 and v2) leaves, and what the limits on its address space (``ulimit -v``, ``-d``) leave. The
    processes that torchrun started here share it. It changes from moment to moment: plan by it
    only what does not change a result.
    """
    free = (machine_spare(root), *(limit - used for limit, used in _limits(root)))
    least = min((size for size in free if size is not None), default=UNKNOWN_BYTES)
    return max(0, least) // local_processes()


def peak_memory() -> int:
    """Return the most bytes that this process has held at once so far; 0 where no system tells."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def machine_memory() -> int:
    """Return the bytes of memory in the machine, 0 where the system does not tell."""
    with suppress(AttributeError, OSError, ValueError):
        return max(0, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return 0


def machine_spare(root: Path = ROOT) -> int | None:
    """Return the bytes that the machine has to spare; None where nothing is known."""
    for line in _text(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable" and (found := _number(value.removesuffix("kB"))) is not None:
            return found * 1024
    # Elsewhere half of it is taken for the system and other programs.
    return machine_memory() // 2 or None


def local_processes() -> int:
    """Return how many processes torchrun started on this machine; 1 without it."""
    return max(1, _number(os.environ.get("LOCAL_WORLD_SIZE", "1")) or 1)


def _limits(root: Path) -> Iterator[tuple[int, int]]:
    """Yield every limit in bytes with what of it is used."""
    yield from _group_limits(root)
    try:
        import resource
    except ImportError:
        return
    pages = [_number(word) or 0 for word in _text(root / "proc/self/statm").split()]
    for name, column in RLIMITS:
        limit = resource.getrlimit(getattr(resource, name))[0]
        if limit != resource.RLIM_INFINITY and column < len(pages):
            yield limit, pages[column] * resource.getpagesize()


def _group_limits(root: Path) -> Iterator[tuple[int, int]]:
    own: dict[str, str] = {}
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        own |= dict.fromkeys(controllers.split(","), path.lstrip("/"))
    for controller, mount, limits, usage, droppable in GROUPS:
        top = root / mount
        group = top / own.get(controller, "")
        # A container sees its own group as the top, though the path is that of the host.
        for folder in (group, *group.parents):
            if not folder.is_relative_to(top):
                break
            found = [_number(_text(folder / name)) for name in limits]
            known = [size for size in found if size is not None and size < NO_LIMIT]
            if known:
                used = (_number(_text(folder / usage)) or 0) - _statistic(folder, droppable)
                yield min(known), max(0, used)


def _statistic(folder: Path, name: str) -> int:
    for line in _text(folder / "memory.stat").splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return _number(value) or 0
    return 0


def _text(path: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="ascii")
    return ""


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() else None
