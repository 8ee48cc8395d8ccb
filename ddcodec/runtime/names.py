"""Names of files and the text they stand for, also where Python was told that names are in ASCII.

In such a locale (``LC_ALL=C`` without UTF-8 mode) Python holds every byte above 127 of a name as a
lone surrogate, which no text in UTF-8 can hold. The files themselves are called in UTF-8.
"""

from __future__ import annotations

import os
from contextlib import suppress


def utf8(name: str) -> str:
    """Return the name of a file as text; a name that is not UTF-8 comes back as it is."""
    try:
        name.encode()
    except UnicodeEncodeError:
        with suppress(UnicodeError):
            return os.fsencode(name).decode()
    return name


def file_name(text: str) -> str:
    """Return the name of the file that text stands for, as this locale has it."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return os.fsdecode(text.encode())
    return text
