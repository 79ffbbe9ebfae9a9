#!/usr/bin/env bash
# The tests of the Python package, installed into an environment of its own below build/; prints pytest's closing lines.
# usage: tests/python.sh [ARGUMENTS OF PYTEST]     PYTHON: the interpreter, 3.11 or later
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-/usr/bin/python3}
venv=build/python/$("$python" -c 'import platform; print(platform.python_version())')
[ -x "$venv/bin/pytest" ] || { "$python" -m venv "$venv" && "$venv/bin/pip" install -q 'setuptools>=66' wheel; }
sources=$(git ls-files -z -co --exclude-standard python ':!python/tests' | sort -z | xargs -0 cat | sha256sum)
if [ "$sources" != "$(cat "$venv/sources" 2>/dev/null)" ]; then
    # Without isolation: what builds it is in the environment already. From a copy: setuptools leaves its own files beside the sources.
    copy=$(mktemp -d)
    trap 'rm -rf "$copy"' EXIT
    cp -r python/. "$copy"
    "$venv/bin/pip" install -q --no-build-isolation "$copy[test]"
    "$venv/bin/pip" install -q --no-build-isolation --force-reinstall --no-deps "$copy"
    echo "$sources" >"$venv/sources"
fi
export HISTRIO_NODE=${HISTRIO_NODE:-$PWD/build/dev/bin/histrio-node}
code=0
"$venv/bin/pytest" -q python/tests "$@" || code=$?
# What the compiled module does, once more in Python.
HISTRIO_PURE=1 "$venv/bin/pytest" -q python/tests/test_worker.py python/tests/test_zygote.py python/tests/test_local.py "$@" || code=$?
exit $code
