"""Files that break the rules of their codec."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ddcodec.errors import InvalidFile
from ddcodec.format import read
from tests.helpers.codec_cases import CODEC_CASES


@pytest.mark.parametrize(
    ("name", "make", "code"), CODEC_CASES, ids=[case[0] for case in CODEC_CASES]
)
def test_a_hostile_file_is_refused_with_its_code(
    name: str, make: Callable[[bytes], bytes], code: str
) -> None:
    with pytest.raises(InvalidFile) as caught:
        read(make(b""))
    assert caught.value.code == code, caught.value
