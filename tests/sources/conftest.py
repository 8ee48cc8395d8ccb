"""Real data where it is at hand, and small sources written as their users would write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddcodec import sources
from ddcodec.sources import Source
from tests.helpers.real_data import real_data


@pytest.fixture(scope="session")
def cifar10() -> Source:
    """The real CIFAR-10; a split is decoded when a test first asks for it."""
    return sources.load(real_data("cifar10"))


@pytest.fixture(scope="session")
def cifar100() -> Source:
    return sources.load(real_data("cifar100"))


@pytest.fixture
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and no data set in any of the known places."""
    monkeypatch.delenv("DDCODEC_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write_images(tmp_path: Path) -> Callable[..., Path]:
    """Write {path under the root: uint8 array} as an image folder."""

    def write(images: dict[str, np.ndarray], root: str = "folder") -> Path:
        for name, image in images.items():
            path = tmp_path / root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
        return tmp_path / root

    return write


@pytest.fixture
def write_shard(tmp_path: Path) -> Callable[..., Path]:
    """Write one parquet shard of the Hugging Face image layout and return its folder."""
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")

    def write(
        file: str,
        cells: Sequence[Any],
        labels: Sequence[Any],
        *,
        names: Sequence[str] | None = None,
        image: str = "image",
        label: str = "label",
        root: str = "shards",
    ) -> Path:
        path = tmp_path / root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"bytes": c, "path": None} if isinstance(c, bytes) else c for c in cells]
        table = pa.table({image: rows, label: labels})
        if names is not None:
            features = {label: {"_type": "ClassLabel", "names": list(names)}}
            told = json.dumps({"info": {"features": features}})
            table = table.replace_schema_metadata({"huggingface": told})
        pq.write_table(table, path)
        return tmp_path / root

    return write
