"""The folder that is published with a file: card, Croissant metadata, picture, parquet sidecar."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

from ..data.export import Decoded, write_table
from ..errors import InvalidFile, MissingExtra
from ..inspection.verify import verify
from ..runtime.progress import SILENT, Reporter
from .card import card
from .croissant import croissant
from .subject import PICTURE, SIDECAR, Stored, Subject, subject_of

CARD, CROISSANT = "README.md", "croissant.json"


def write_page(
    path: Path,
    folder: Path,
    *,
    repo: str | None = None,
    with_file: bool = False,
    prior: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    reporter: Reporter = SILENT,
) -> Subject:
    """Write what is published with the file at ``path`` into a folder, and return what was said.

    Every digest of the file is checked first. A file whose images a diffusion model makes gets
    picture and sidecar only where ``prior`` names that model.

    Args:
        repo: ``OWNER/NAME`` on the hub, for the lines that load it.
        with_file: put the file itself into the folder too.
        prior, cache: those of ``ddcodec.load``.

    Raises InvalidFile, Unsupported for a file that cannot be published, MissingExtra without
    pyarrow; OSError of the folder.
    """
    if findings := verify(path):
        raise InvalidFile(findings[0].message, findings[0].code)
    if with_file:
        shutil.copyfile(path, folder / path.name)
    subject = subject_of(path, repo=repo)
    if subject.manifest.external and prior is None:
        reporter.note(
            f"{path.name}: needs a diffusion model; with `prior` its card gets a picture and a "
            "sidecar"
        )
    else:
        samples = _write_samples(path, folder, prior, cache, reporter)
        sidecar = Stored.of(folder, SIDECAR)
        subject = replace(subject, sidecar=sidecar, samples=samples, pictured=True)
    (folder / CARD).write_text(card(subject), encoding="utf-8")
    metadata = json.dumps(croissant(subject), indent=2, ensure_ascii=False)
    (folder / CROISSANT).write_text(metadata + "\n", encoding="utf-8")
    return subject


def _write_samples(
    path: Path,
    folder: Path,
    prior: str | os.PathLike[str] | None,
    cache: str | os.PathLike[str] | None,
    reporter: Reporter,
) -> int:
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtra("pyarrow, which writes the sidecar,", "data")
    from ..data.opening import load
    from ..inspection.preview import render

    reporter.stage("drawing", 0)
    picture = render(load(path, prior=prior, cache=cache))
    picture.save(folder / PICTURE, format="PNG")
    (folder / SIDECAR).parent.mkdir()
    decoded = Decoded(path, prior=prior, cache=cache, reporter=reporter)
    write_table(decoded, folder / SIDECAR)
    return decoded.count
