"""A MkDocs hook: the page that shows a file is on the site too, as ``viewer.html``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

PAGE = "ddcodec/inspection/viewer.html"


def on_files(files: Files, *, config: Any, **_: Any) -> Files:
    """Add the page, as it is in the package, to the files of the site."""
    path = Path(config.config_file_path).parent / PAGE
    files.append(File.generated(config, "viewer.html", abs_src_path=str(path)))
    return files
