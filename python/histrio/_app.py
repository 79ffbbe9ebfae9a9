"""The code of an app in this process: its folders, the modules that are imported in advance, the script it began with."""

from __future__ import annotations

import ctypes
import importlib.abc
import importlib.util
import os
import sys
import types
from typing import Callable, Sequence

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9
_prctl = ctypes.CDLL(None).prctl


def die_with_parent() -> None:
    """This process is killed when its parent ends."""
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)


def thread_count() -> int:
    return len(os.listdir("/proc/self/task"))


def set_up(path: Sequence[str], preload: Sequence[str], script: str | None, failed: Callable[[str], None]) -> str:
    """Imports what the app needs; the module that started threads, or "". failed: is told of each that cannot be imported."""
    global _importing
    _importing = True
    for folder in reversed(path):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    culprit = ""
    before = thread_count()
    for name, load in [*((name, _importer(name)) for name in preload), *([(script, _runner(script))] if script else [])]:
        try:
            load()
        except MainPart:
            pass
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
    """The program that the user started, as the module __mp_main__: its classes, without its main part.

    A main part without `if __name__ == "__main__":` ends where it calls histrio.local(); what is above that is there.
    """
    main = types.ModuleType("__mp_main__")
    sys.modules["__main__"] = sys.modules["__mp_main__"] = main
    if script.startswith("-m "):
        spec = importlib.util.find_spec(script[3:])
        if spec is None or not isinstance(spec.loader, importlib.abc.InspectLoader):
            raise ModuleNotFoundError(f"No module named '{script[3:]}'")
        code = spec.loader.get_code(script[3:])
        main.__package__ = spec.parent
        main.__file__ = spec.origin
    else:
        folder = os.path.dirname(os.path.abspath(script))
        if folder not in sys.path:
            sys.path.insert(0, folder)
        with open(script, "rb") as file:
            code = compile(file.read(), script, "exec")
        main.__file__ = script
    if code is not None:
        exec(code, main.__dict__)


def script_of_this_process() -> str | None:
    """What workers are to import for the classes of this program; None for notebooks and prompts."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        name = spec.name
        return f"-m {name}"
    file = getattr(main, "__file__", None)
    return os.path.abspath(file) if file and os.path.exists(file) else None


class MainPart(BaseException):
    """histrio.local() was called in a process that only imports the program."""


_importing = False


def is_importing() -> bool:
    return _importing
