"""The code of an app in this process: its folders, the modules that are imported in advance, the script it began with."""

from __future__ import annotations

import ctypes
import importlib
import os
import runpy
import sys
import types
from typing import Callable, Mapping, Sequence

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def die_with_parent() -> None:
    """This process is killed when its parent ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)


def thread_count() -> int:
    return len(os.listdir("/proc/self/task"))


def set_up(path: Sequence[str], preload: Sequence[str], script: str | None, failed: Callable[[str], None]) -> str:
    """Imports what the app needs; the module that started threads, or "". failed: is told of each that cannot be imported."""
    for folder in reversed(path):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    culprit = ""
    before = thread_count()
    for name, load in [*((name, _importer(name)) for name in preload), *([(script, _runner(script))] if script else [])]:
        try:
            load()
        except BaseException as error:  # SystemExit, too: a script may exit at its top
            failed(f"{name}: {type(error).__name__}: {error}")
        if not culprit and thread_count() > before:
            culprit = name
    return culprit


def _importer(name: str) -> Callable[[], object]:
    return lambda: importlib.import_module(name)


def _runner(script: str) -> Callable[[], object]:
    return lambda: import_script(script)


def import_script(script: str) -> None:
    """The program that the user started, as the module __mp_main__: its classes, without its main part."""
    main = types.ModuleType("__mp_main__")
    sys.modules["__mp_main__"] = main
    if script.startswith("-m "):
        content: Mapping[str, object] = runpy.run_module(script[3:], run_name="__mp_main__", alter_sys=True)
    else:
        folder = os.path.dirname(os.path.abspath(script))
        if folder not in sys.path:
            sys.path.insert(0, folder)
        content = runpy.run_path(script, run_name="__mp_main__")
    main.__dict__.update(content)
    sys.modules["__main__"] = sys.modules["__mp_main__"] = main
