"""The class behind a behavior's name."""

from __future__ import annotations

import importlib
import sys

from ._errors import StartFailed


def load_class(name: str) -> type:
    """"bank:Counter", "bank.tellers:Outer.Inner"; StartFailed says what is wrong."""
    module_name, _, qualname = name.partition(":")
    if not module_name or not qualname:
        raise StartFailed(f'"{name}" is no behavior in Python: write it as MODULE:CLASS')
    if module_name == "__main__":
        module = sys.modules.get("__mp_main__") or sys.modules["__main__"]
    else:
        try:
            module = importlib.import_module(module_name)
        except BaseException as error:  # SystemExit, too: a module of one actor does not end the process of others
            raise StartFailed(f'module "{module_name}" of behavior {name}: {type(error).__name__}: {error}') from error
    found: object = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type):
        where = getattr(module, "__file__", None) or "the program"
        raise StartFailed(f'{where} has no class "{qualname}"')
    return found
