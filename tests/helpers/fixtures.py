"""Small valid files of every kind, made by the writer, and a way to forge others."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ddcodec.format import to_bytes
from ddcodec.sources import Source
from tests.helpers.hostile import Forgery
from tests.helpers.lines import lines
from tests.helpers.local_hub import LocalHub, environment, serving
from tests.helpers.small_files import STORAGE, arrays, images_arrays, images_manifest, manifest


@pytest.fixture(scope="session")
def small() -> bytes:
    """A valid file of about a kilobyte."""
    return to_bytes(manifest(), arrays(), STORAGE)[0]


@pytest.fixture(scope="session")
def small_images() -> bytes:
    """A valid file of five images."""
    return to_bytes(images_manifest(), images_arrays(), {})[0]


@pytest.fixture(scope="session")
def rows_and_columns() -> Source:
    return lines()


@pytest.fixture
def forge(small: bytes) -> Callable[[], Forgery]:
    return lambda: copy.deepcopy(Forgery.of(small))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    """A hub on this machine, which the client asks here and in processes; its cache is empty."""
    pytest.importorskip("huggingface_hub")
    home = tmp_path / "hf-home"
    with serving() as server:
        for name, value in environment(server, home).items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        # What the client has read from the environment when it was imported.
        for name, known in {
            "HF_HUB_CACHE": str(home / "hub"),
            "HF_HUB_DISABLE_TELEMETRY": True,
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_OFFLINE": False,
            "HF_TOKEN_PATH": str(home / "token"),
        }.items():
            monkeypatch.setattr(f"huggingface_hub.constants.{name}", known)
        yield server
