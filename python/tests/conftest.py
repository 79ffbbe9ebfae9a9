"""Fixtures of several files."""

import pytest

from scripted_node import ScriptedNode


@pytest.fixture
def node():
    """A worker process, and what stands in for its node."""
    it = ScriptedNode()
    yield it
    it.close()
