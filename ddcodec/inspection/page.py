"""A page that shows a file, with the file inside: one HTML document to open anywhere.

The page itself, ``viewer.html``, is built from ``examples/viewer``. It reads and checks the file in
the browser, and fetches nothing.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator
from importlib.resources import files

from ..errors import UsageError

MOST = 256 << 20  # bytes of a file in a page: browsers hold texts of half a GiB at most
AT_ONCE = 3 << 20  # bytes turned into letters at a time; a multiple of three
LETTERS = 120  # of its name that are shown
PLACE = "<!--file-->"
FETCHES = "connect-src http: https:"  # only for a page that is given an address


def page_with(data: bytes, name: str) -> Iterator[bytes]:
    """Give the parts of the page, UTF-8, that shows the content of a file under a name.

    No part of the file or its name becomes markup. Raises UsageError for a file that is too large.
    """
    if len(data) > MOST:
        raise UsageError(
            f"{name}: {len(data):,} bytes are too much for a page, which takes {MOST:,}; "
            "send the file, and open it in the page without one"
        )
    before, _, after = viewer().partition(PLACE)
    yield before.replace(FETCHES, "connect-src 'none'").encode()
    shown = html.escape(name[:LETTERS].encode(errors="replace").decode())
    yield f'<script type="text/plain" id="inside" data-name="{shown}">'.encode()
    for start in range(0, len(data), AT_ONCE):
        yield base64.b64encode(data[start : start + AT_ONCE])
    yield b"</script>"
    yield after.encode()


def viewer() -> str:
    """Return the page without a file."""
    return files(__package__).joinpath("viewer.html").read_text(encoding="utf-8")
