"""Small valid files of every kind, made by the writer, and a way to forge others."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from ddcodec.format import to_bytes
from tests.helpers.hostile import Forgery
from tests.helpers.small_files import STORAGE, arrays, images_arrays, images_manifest, manifest


@pytest.fixture(scope="session")
def small() -> bytes:
    """A valid file of about a kilobyte."""
    return to_bytes(manifest(), arrays(), STORAGE)[0]


@pytest.fixture(scope="session")
def small_images() -> bytes:
    """A valid file of five images."""
    return to_bytes(images_manifest(), images_arrays(), {})[0]


@pytest.fixture
def forge(small: bytes) -> Callable[[], Forgery]:
    return lambda: copy.deepcopy(Forgery.of(small))
