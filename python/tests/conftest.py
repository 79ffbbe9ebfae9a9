"""Fixtures of several files."""

import pytest

import histrio
from scripted_node import ScriptedNode


@pytest.fixture
def node():
    """A worker process, and what stands in for its node."""
    it = ScriptedNode()
    yield it
    it.close()


@pytest.fixture(scope="module")
def system():
    """A real node and two worker processes."""
    with histrio.local(workers=2) as it:
        yield it
