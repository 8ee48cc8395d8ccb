"""What an encode of the codec lic makes anew."""

from __future__ import annotations

from typing import Any

import pytest

from ddcodec.codecs.lic import encode as module
from ddcodec.sources import Source


def groups_made(monkeypatch: pytest.MonkeyPatch) -> list[range]:
    """Return a list to which every group of classes that is made from here on is added."""
    made: list[range] = []
    original = module.make_group

    def counted(source: Source, group: range, *rest: Any) -> Any:
        made.append(group)
        return original(source, group, *rest)

    monkeypatch.setattr(module, "make_group", counted)
    return made
