"""For pytest: the fixture `histrio_system`, and the marker that says where its actors run.

    @pytest.mark.histrio("test", "node")      # the same test twice: in this process, and on a real node
    async def test_counter(histrio_system): ...

Without the marker it is a testing.system(); `--histrio-seed` chooses its seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .. import _local
from ._system import system

MODES = ("test", "node")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--histrio-seed", type=int, default=0, help="the seed of the order in which test actors get their messages")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", 'histrio(*modes): where the actors of histrio_system run: "test", "node", or both')


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "histrio_system" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("histrio")
    modes = marker.args if marker is not None and marker.args else ("test",)
    wrong = [mode for mode in modes if mode not in MODES]
    if wrong:
        raise pytest.UsageError(f'@pytest.mark.histrio: "{wrong[0]}" is none of {", ".join(MODES)}')
    metafunc.parametrize("histrio_system", modes, indirect=True)


@pytest.fixture
def histrio_system(request: pytest.FixtureRequest) -> Iterator[Any]:
    """An open system: what testing.system() gives, or histrio.local()."""
    if request.param == "node":
        with _local.local(workers=1) as node:
            yield node
    else:
        seed: Any = request.config.getoption("--histrio-seed")
        with system(seed=seed) as test:
            yield test
