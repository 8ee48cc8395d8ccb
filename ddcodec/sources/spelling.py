"""Names as people write them: one normal form for all, and text files of any editor."""

from __future__ import annotations

import codecs
import unicodedata
from pathlib import Path

from ..errors import SourceError
from ..runtime.names import utf8

TEXT_MAX = 1 << 26  # bytes; a table of a million lines is smaller
WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def plain(name: str) -> str:
    """Return a name in Unicode normal form C, without a byte order mark and spaces around it.

    A Mac writes an accent as a character of its own, others do not: both are the same name.
    """
    return unicodedata.normalize("NFC", utf8(name).removeprefix("\ufeff").strip())


def text_lines(path: Path) -> list[str]:
    """Return the lines of a text file in UTF-8, or in UTF-16 with a mark that says so.

    Byte order mark, carriage returns, spaces at the ends of lines and empty lines at the end of
    the file are left out. Raises SourceError where it is another encoding or absurdly large.
    """
    if path.stat().st_size > TEXT_MAX:
        raise SourceError(f"{path}: has more than {TEXT_MAX:,} bytes, which no list of names has")
    data = path.read_bytes()
    try:
        text = data.decode("utf-16" if data.startswith(WIDE) else "utf-8-sig")
    except UnicodeDecodeError:
        raise SourceError(f"{path}: is not text in UTF-8; save it in that encoding") from None
    # Only these end a line: str.splitlines also cuts names at rarer marks.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return [line.rstrip() for line in text.rstrip().split("\n")] if text.strip() else []
