"""A short D3M encode, with settings that take no time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ddcodec import encode
from ddcodec.sources import Source


def run(source: Source, observer: Path, prior: Path, out: Path, **changes: Any) -> Any:
    settings = {"ipc": 2, "steps": 2, "sampling_steps": 2, "device": "cpu", "overwrite": True}
    return encode(source, out, "d3m", observer=observer, prior=prior, **(settings | changes))
