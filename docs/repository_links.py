"""A MkDocs hook: links from a page to other files of the repository work on the site too.

In a checkout ``[script](../examples/ablation.py)`` opens the file beside the page. On the site it
opens the page made from that file where there is one, and otherwise the file at ``repo_url``. A
link to a file that does not exist is left alone, so the strict build refuses it.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

PAGES = {
    "spec/ddset-1.md": "docs/format.md",
    "CHANGELOG.md": "docs/changelog.md",
    "CONTRIBUTING.md": "docs/contributing.md",
    "ddcodec/inspection/viewer.html": "docs/viewer.html",  # see published_page.py
}
LINK = re.compile(r"(?<=\]\()(\.\.?/[^)#\s]*)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Return the page's text with the links that leave ``docs/`` pointed elsewhere."""
    root = Path(config.config_file_path).parent
    folder = PurePosixPath("docs", page.file.src_uri).parent.as_posix()

    def place(found: re.Match[str]) -> str:
        target = normpath(f"{folder}/{found[1]}")
        if target in PAGES:
            return relpath(PAGES[target], folder)
        if target.startswith("docs/") or not (root / target).exists():
            return found[1]
        kind = "tree" if (root / target).is_dir() else "blob"
        return f"{config.repo_url.rstrip('/')}/{kind}/main/{target}"

    return LINK.sub(place, markdown)
