"""The page in a real browser: it shows and saves what Python finds in the same files."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ddcodec
from ddcodec.codecs.registry import CODECS
from ddcodec.format import read, to_bytes
from ddcodec.inspection.page import page_with
from ddcodec.inspection.pixels import visible_images, visible_posters
from tests.helpers import vectors
from tests.helpers.small_files import STORAGE, arrays, manifest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "examples" / "viewer"
BROWSER = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
HOSTILE = ("</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", '" onload="x')
LARGE = 50_000_000  # bytes
POSTERS = {
    "poster": ROOT / "examples" / "results" / "cifar10-1.0.ddset",
    "stages": vectors.FOLDER / "valid" / "ppodd-stages.ddset",
}
SAVED = {**POSTERS, "mosaics": vectors.FOLDER / "valid" / "lic-top.ddset"}


def check(*words: str | Path) -> str:
    node = shutil.which("node")
    if node is None or not (SOURCES / "node_modules" / "playwright-core").is_dir():
        pytest.skip("needs Node.js, and npm ci in examples/viewer")
    if not BROWSER.exists():
        pytest.skip(f"needs a browser: {BROWSER}, or CHROMIUM with the path of another")
    command = [node, str(SOURCES / "check.mjs"), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the page saved; some files of every kind were opened in it."""
    folder = tmp_path_factory.mktemp("viewer")
    data, _ = to_bytes(manifest(classes=HOSTILE), arrays(), STORAGE)
    (folder / "hostile.ddset").write_bytes(data)
    (folder / "hostile.html").write_bytes(b"".join(page_with(data, "<b>hostile</b>.ddset")))
    said = check("--few", folder)
    assert said.count("ok ") == 8, said
    return folder


@pytest.mark.parametrize("name", SAVED)
def test_the_npz_of_the_page_holds_what_load_gives(saved: Path, name: str) -> None:
    ds = ddcodec.load(SAVED[name])
    with np.load(saved / f"{name}.npz", allow_pickle=False) as data:
        images = np.stack([ds[i][0].numpy() for i in range(len(ds))])
        assert np.array_equal(data["images"], images)
        assert np.array_equal(data["labels"], ds.soft_labels.numpy())
        assert data["class_names"].tolist() == list(ds.classes)
        assert str(data["manifest"]) == ds.manifest.to_json()
        assert ("weights" in data) == (len(ds.stage_shares) > 1)
        if "weights" in data:
            shares = np.repeat(ds.stage_shares, len(ds) // len(ds.stages))
            assert np.allclose(data["weights"], shares * len(ds.stages))


@pytest.mark.parametrize("name", POSTERS)
def test_page_and_preview_show_the_same_poster(saved: Path, name: str) -> None:
    file = read(POSTERS[name])
    drawn = CODECS[file.manifest.codec["name"]].pictures(file.manifest, file.arrays, 0)
    expected = visible_posters(drawn, file.manifest.image["preprocessing"])[0].astype(int)
    whole = np.asarray(Image.open(saved / f"{name}-whole.png").convert("RGB")).astype(int)
    assert whole.shape == expected.shape
    assert np.abs(whole - expected).max() <= 2  # whitening is undone by other cosines
    patch = np.asarray(Image.open(saved / f"{name}.png").convert("RGB")).astype(int)
    height, width = file.manifest.image["height"], file.manifest.image["width"]
    assert np.array_equal(patch, whole[:height, :width])


def test_page_and_preview_show_the_same_bytes(saved: Path) -> None:
    ds = ddcodec.load(SAVED["mosaics"])
    shown = np.asarray(Image.open(saved / "mosaics.png").convert("RGB"))
    whole = CODECS["lic"].pictures(ds.manifest, ds.file.arrays, len(ds)).samples[0]
    assert np.array_equal(shown, visible_images(ds, [whole])[0])


@pytest.mark.slow
def test_every_vector_and_a_large_file_open_in_the_page(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (LARGE // 3072, 3, 32, 32), np.uint8)
    labels = random.integers(0, 10, len(images))
    classes = [f"class {index}" for index in range(10)]
    ddcodec.pack(images, labels, classes, tmp_path / "large.ddset")
    said = check(tmp_path)
    assert "ok aLargeFileLeavesThePageFree" in said
