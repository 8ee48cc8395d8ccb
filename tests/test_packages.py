"""What a wheel holds, and what can be done with it alone, without the extras."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
EXTRAS = ("clip", "d3m", "observers", "data", "plot")
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


def test_every_module_and_file_of_data_is_in_the_wheel(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    written = set()
    for package, name in (("ddcodec", "ddcodec"), ("cli", "ddcodec_cli")):
        pattern = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tree / package, ignore=pattern)
        inside = (path for path in (tree / package).rglob("*") if path.is_file())
        written |= {f"{name}/{path.relative_to(tree / package).as_posix()}" for path in inside}
    command = [sys.executable, "-c", BUILD, str(tmp_path)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == written


# What runs in an environment of the plain requirements: modules of the extras are not found.
PLAIN = """
import sys
from importlib.machinery import PathFinder

absent, find = set(sys.argv[1].split()), PathFinder.find_spec
PathFinder.find_spec = staticmethod(
    lambda name, *more: None if name.partition(".")[0] in absent else find(name, *more)
)
from ddcodec_cli.app import main

for line in sys.stdin:
    print(f"{line.strip()} -> {main(line.split())}", file=sys.stderr, flush=True)
"""
WORK = """
demo --time 1s --nets 1 -o demo.ddset
encode digits --ipc 0.4 --steps 1 -o digits.ddset
encode images.npz --ipc 1 --steps 1 -o npz.ddset
encode folder --ipc 1 --steps 1 -o folder.ddset
info npz.ddset folder.ddset
verify npz.ddset
preview npz.ddset -o npz.png
train folder.ddset --nets 1 --steps 1
decode npz.ddset -o as-folder --to imagefolder
decode npz.ddset -o as-npz --to npz
decode npz.ddset -o as-tar --to webdataset
"""
REFUSED = """
decode npz.ddset -o as-parquet --to parquet
encode digits --ipc 0.4 --order clip --steps 1 -o clip.ddset
encode cifar10 --ipc 1 --steps 1 --download -o cifar10.ddset
observer train digits --arch timm:resnet18
prior train digits --steps 1
sweep digits --ipc 0.4 --steps 1 --nets 1 --out sweep
"""


def modules_of_extras() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [line for name in EXTRAS for line in project["optional-dependencies"][name]]
    brought = {re.split(r"[^\w-]", line)[0].lower().replace("_", "-") for line in lines}
    found = packages_distributions().items()
    return {
        module for module, names in found if brought & {n.lower().replace("_", "-") for n in names}
    }


@pytest.mark.slow
def test_an_install_without_extras_does_the_whole_story_or_names_the_extra(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8), np.arange(20) % 2
    parts = {"train": (images, labels), "test": (images[:6], labels[:6])}
    named = {f"{part}_images": x for part, (x, _) in parts.items()}
    named |= {f"{part}_labels": y for part, (_, y) in parts.items()}
    np.savez(tmp_path / "images.npz", **named)
    for part, (x, y) in parts.items():
        for index, label in enumerate(y):
            folder = tmp_path / "folder" / part / "ab"[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(x[index]).save(folder / f"{index}.png")
    absent = modules_of_extras()
    assert {"open_clip", "pyarrow", "timm", "matplotlib", "diffusers"} <= absent
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, " ".join(absent)],
        input=(WORK + REFUSED).replace("\n\n", "\n").lstrip(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stderr.splitlines()
    for command in WORK.split("\n")[1:-1]:
        assert f"{command} -> 0" in lines, done.stderr
    for command in REFUSED.split("\n")[1:-1]:
        assert f"{command} -> 4" in lines, done.stderr
        assert "pip install 'ddcodec[" in lines[lines.index(f"{command} -> 4") - 1]
