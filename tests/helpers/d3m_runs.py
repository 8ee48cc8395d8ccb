"""A short D3M encode, with settings that take no time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ddcodec import D3MOptions, encode
from ddcodec.sources import Source


def run(source: Source, observer: Path, prior: Path, out: Path, **changes: Any) -> Any:
    own = {k: changes.pop(k) for k in list(changes) if k in D3MOptions.__dataclass_fields__}
    options = D3MOptions(observer, prior, **{"sampling_steps": 2, **own})
    settings = {"ipc": 2, "steps": 2, "device": "cpu", "overwrite": True} | changes
    return encode(source, "d3m", out=out, d3m=options, **settings)
