"""A MkDocs hook: the gallery of the published files, as ``gallery/index.html`` of the site."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from ddcodec.share.gallery import find_files, write_gallery

RESULTS = Path("examples", "results")
_drafts: list[Path] = []


def on_files(files: Files, *, config: Any) -> Files:
    """Add the page and its pictures to the files of the site, so that links to it are checked."""
    root = Path(config.config_file_path).parent / RESULTS
    draft = Path(tempfile.mkdtemp(prefix="ddcodec-gallery-"))
    _drafts.append(draft)
    write_gallery(root, find_files(root), draft, title="Published files", with_files=True)
    for path in sorted(draft.rglob("*")):
        if path.is_file():
            name = f"gallery/{path.relative_to(draft).as_posix()}"
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_post_build(**_: Any) -> None:
    for draft in _drafts:
        shutil.rmtree(draft, ignore_errors=True)
    _drafts.clear()
