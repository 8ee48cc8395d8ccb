"""Run the tests that need no torch on every Python that pyproject.toml names and this machine has.

Each Python gets an environment of its own without torch, whose wheels weigh gigabytes on some
platforms: the format, the readers, the sources and most of the command line do without. The
Python that runs this script is left out: it has the whole suite.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LANGUAGE = "Programming Language :: Python :: 3."
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def interpreter(version: str) -> str | None:
    """Return the ``python3.12`` on the path or, where pyenv keeps it, in its folder."""
    name = f"python{version}"
    kept = Path(os.getenv("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for found in (shutil.which(name), *map(str, sorted(kept.glob(f"{version}.*/bin/{name}")))):
        # pyenv puts a shim on the path for every version: it fails for those that are not chosen.
        if found and not subprocess.run([found, "-V"], capture_output=True, check=False).returncode:
            return found
    return None


def requirements() -> list[str]:
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *extras["data"], *extras["test"]]
    return [name for name in wanted if not name.startswith("torch")]


def passes(python: str, folder: Path) -> bool:
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    own = str(folder / "bin" / "python")
    pip = [own, "-m", "pip", "install", "-q"]
    subprocess.run([*pip, *requirements()], check=True)
    subprocess.run([*pip, "--no-deps", "-e", str(ROOT)], check=True)
    tests = [own, "-m", "pytest", "-n", "2", "--dist", "worksteal", "-m", "not slow"]
    plugin = ["-p", "tests.without_torch.plugin"]
    return subprocess.run([*tests, *plugin], cwd=ROOT, check=False).returncode == 0


def main() -> int:
    failed = []
    for line in PROJECT["classifiers"]:
        version = line.removeprefix("Programming Language :: Python :: ")
        if not line.startswith(LANGUAGE) or version == f"3.{sys.version_info.minor}":
            continue
        python = interpreter(version)
        if python is None:
            print(f"Python {version}: not on this machine, not tested", flush=True)
            continue
        print(f"Python {version}: {python}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            if not passes(python, Path(folder) / "venv"):
                failed.append(version)
    for version in failed:
        print(f"Python {version}: failed", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
