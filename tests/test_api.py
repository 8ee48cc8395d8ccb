"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ddcodec

VECTORS = Path(__file__).parents[1] / "spec" / "vectors" / "valid"
NAMES = [
    "D3M",
    "LIC",
    "CheckpointMismatch",
    "ChunkedDataset",
    "DDSetError",
    "DistilledDataset",
    "InvalidFile",
    "LimitExceeded",
    "Limits",
    "MissingExtra",
    "OutputError",
    "PPoDD",
    "PoDD",
    "SourceError",
    "Unsupported",
    "UsageError",
    "encode",
    "info",
    "load",
    "pack",
    "verify",
]


def test_the_exported_names_are_pinned() -> None:
    assert ddcodec.__all__ == NAMES
    assert dir(ddcodec) == sorted([*NAMES, "__version__"])
    assert all(getattr(ddcodec, name).__doc__ for name in NAMES)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'decode'"):
        ddcodec.decode  # noqa: B018


@pytest.mark.parametrize("module", ["ddcodec.format", "ddcodec.format.header", "ddcodec.methods"])
def test_whoever_imports_the_format_alone_can_read_every_method(module: str) -> None:
    """The format knows no method by itself: importing the package must have told it."""
    folder = repr(str(VECTORS))
    code = f"""
import importlib, pathlib, sys
importlib.import_module({module!r})
from ddcodec.format import read
from ddcodec.methods import known
used = {{read(path).manifest.codec["name"] for path in pathlib.Path({folder}).glob("*.ddset")}}
assert used == set(known()) != set(), (used, set(known()))
"""
    assert "torch" not in imported(code)


HEAVY = {"torch", "PIL", "rich", "sklearn", "pyarrow", "scipy", "open_clip", "torchvision"}
HEAVY |= {"matplotlib", "diffusers", "transformers", "huggingface_hub"}


def imported(code: str) -> set[str]:
    """Return which heavy packages a fresh process has after running ``code``."""
    code += "\nimport sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stdout.splitlines()[-1].split())


def test_looking_at_a_file_loads_no_torch(digits_file: Path) -> None:
    path = repr(str(digits_file))
    assert imported("import ddcodec") == set()
    assert imported(f"import ddcodec; ddcodec.info({path})") == set()
    assert imported(f"import ddcodec; assert ddcodec.verify({path}) == []") == set()
    loaded = imported(f"import ddcodec; ddcodec.load({path})")
    assert "torch" in loaded
    assert "huggingface_hub" not in loaded  # a path never leads to the network


def test_what_is_known_of_methods_without_decoding_loads_no_torch() -> None:
    code = """
from importlib import import_module
from pkgutil import iter_modules
import ddcodec.codecs as codecs
for method in (found for found in iter_modules(codecs.__path__) if found.ispkg):
    for part in ("codec", "options", "rules"):
        name = f"ddcodec.codecs.{method.name}.{part}"
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            assert error.name == name
"""
    assert "torch" not in imported(code)


def test_the_commands_that_look_load_no_torch(digits_file: Path) -> None:
    for words in (["info"], ["info", "--json"], ["verify"]):
        code = f"from ddcodec_cli.app import main; main({[*words, str(digits_file)]!r})"
        assert "torch" not in imported(code), words
