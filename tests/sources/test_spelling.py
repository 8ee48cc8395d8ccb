from __future__ import annotations

from pathlib import Path

import pytest

from ddcodec.errors import SourceError
from ddcodec.sources import spelling
from ddcodec.sources.spelling import text_lines

LINES = ["ant", "caf\u00e9", "", "sea cow"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("tail", ["", " \t", "END", "ENDEND  END"])
def test_lines_come_out_whatever_editor_wrote_them(
    tmp_path: Path, encoding: str, end: str, tail: str
) -> None:
    text = end.join(LINES) + tail.replace("END", end)
    (tmp_path / "names.txt").write_bytes(text.encode(encoding))
    assert text_lines(tmp_path / "names.txt") == LINES


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n\r\n "])
def test_a_file_of_nothing_has_no_lines(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    assert text_lines(tmp_path / "names.txt") == []


def test_other_encodings_and_absurd_sizes_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes("caf\u00e9".encode("latin-1"))
    with pytest.raises(SourceError, match=r"names\.txt: is not text in UTF-8"):
        text_lines(path)
    monkeypatch.setattr(spelling, "TEXT_MAX", 3)
    with pytest.raises(SourceError, match="more than 3 bytes"):
        text_lines(path)
