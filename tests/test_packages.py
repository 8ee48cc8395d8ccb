"""What a wheel holds: a package that is not named in pyproject.toml is not in it."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_package_is_named_in_the_build() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = settings["tool"]["setuptools"]["packages"]
    found = sorted(
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "ddcodec").rglob("__init__.py")
    )
    assert sorted(named) == [*found, "ddcodec_cli"]
