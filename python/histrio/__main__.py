"""python -m histrio run PROGRAM.py [ARGUMENTS]: the same as `histrio run PROGRAM.py`."""

from __future__ import annotations

import os
import runpy
import sys

from . import __version__

USAGE = "usage: python -m histrio run PROGRAM.py [ARGUMENTS]\n       python -m histrio --version\n"


def main(arguments: list[str]) -> int:
    if arguments in (["--version"], ["-V"]):
        print(f"histrio {__version__}")
        return 0
    if arguments in (["--help"], ["-h"]):
        sys.stdout.write(USAGE)
        return 0
    if len(arguments) < 2 or arguments[0] != "run":
        sys.stderr.write(USAGE)
        return 2
    program = arguments[1]
    if not os.path.isfile(program):
        sys.stderr.write(f"histrio: no file {program}\n")
        return 1
    sys.argv = arguments[1:]
    sys.path[0] = os.path.dirname(os.path.abspath(program))
    runpy.run_path(program, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
