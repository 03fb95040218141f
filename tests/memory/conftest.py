"""What tests of lending share."""

from __future__ import annotations

import pytest

from tests.memory.made_up import Clock, Shelf


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()
