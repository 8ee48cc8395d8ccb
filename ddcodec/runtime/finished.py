"""Parts of a run that are finished, kept in a small file so that the same run goes on from there.

Parts are found by all that decides their result, never by a place in a list: a run with other
settings finds nothing and mixes nothing up.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any, Protocol

from ..errors import OutputError
from .atomic import write_atomically
from .outputs import beside
from .progress import Reporter


class Finished(Protocol):
    """Keeps the results of parts, JSON values by key. Itself it keeps nothing."""

    def find(self, key: str) -> Any:
        """Return what was kept under ``key``, or None."""
        return None

    def keep(self, key: str, value: Any) -> None:
        """Keep the result of a part; where that is impossible the run goes on without."""
        return


class _Nothing(Finished):
    def __repr__(self) -> str:
        return "NOTHING"


NOTHING: Finished = _Nothing()


def key_of(*facts: Any) -> str:
    """Return the key of a part from the JSON values (and tuples) that decide its result."""
    return json.dumps(facts, sort_keys=True, separators=(",", ":"))


class FinishedFile(Finished):
    """Finished parts in a JSON file ``<subject>.unfinished-XXXXXXXX.json``, one for each run.

    It is written whole after every part. One that is damaged, or of another run, counts for
    nothing.

    Attributes:
        path: the file; ``kept``: whether it holds anything.
    """

    def __init__(self, subject: Path, run: dict[str, Any], reporter: Reporter) -> None:
        """Take the file that is looked at, and JSON values that all parts have in common."""
        self._run, self._reporter = json.loads(key_of(run))[0], reporter
        name = hashlib.sha256(key_of(run).encode()).hexdigest()[:8]
        self.path = beside(subject, f".unfinished-{name}.json")
        self._parts = self._read()
        self._writable = True

    @property
    def kept(self) -> bool:
        return bool(self._parts) and self.path.exists()

    def find(self, key: str) -> Any:
        return self._parts.get(key)

    def keep(self, key: str, value: Any) -> None:
        # Another process may work at the same run: what it kept stays.
        self._parts = {**self._read(), **self._parts, key: value}
        if not self._writable:
            return
        text = json.dumps({"run": self._run, "parts": self._parts}, indent=1, allow_nan=False)
        try:
            write_atomically(self.path, (text + "\n").encode())
        except OutputError as error:
            self._writable = False
            self._reporter.note(f"{error}; finished networks are not kept")

    def remove(self) -> None:
        """Remove the file: the run is complete."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        whole = isinstance(found, dict) and found.get("run") == self._run
        parts = found.get("parts") if whole else None
        return parts if isinstance(parts, dict) else {}
