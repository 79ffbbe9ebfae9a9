#!/usr/bin/env bash
# The tests of the Python package, installed into an environment of its own (tests/support/python_environment.sh); prints pytest's
# closing lines.
# usage: tests/python.sh [ARGUMENTS OF PYTEST]     PYTHON: the interpreter, 3.11 or later
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=$(tests/support/python_environment.sh)
export HISTRIO_NODE=${HISTRIO_NODE:-$PWD/build/dev/bin/histrio-node}
code=0
"$venv/bin/pytest" -q python/tests "$@" || code=$?
# What the compiled module does, once more in Python.
HISTRIO_PURE=1 "$venv/bin/pytest" -q python/tests/test_worker*.py python/tests/test_zygote.py python/tests/test_local.py python/tests/test_state.py python/tests/test_carry.py \
    python/tests/test_buffers.py "$@" || code=$?
exit $code
