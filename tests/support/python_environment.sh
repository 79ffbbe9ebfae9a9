#!/usr/bin/env bash
# Makes a virtual environment below build/ that has the Python package of this tree and what tests need, when it is not there yet or
# the package has changed; prints its folder.  PYTHON: the interpreter, 3.11 or later
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

python=${PYTHON:-/usr/bin/python3}
venv=$PWD/build/python/$("$python" -c 'import platform; print(platform.python_version())')
mkdir -p build/python
exec 9>build/python/lock
flock 9
[ -x "$venv/bin/pytest" ] || { "$python" -m venv "$venv" && "$venv/bin/pip" install -q 'setuptools>=66' wheel; } >&2
sources=$(git ls-files -z -co --exclude-standard python ':!python/tests' | sort -z | xargs -0 cat | sha256sum)
if [ "$sources" != "$(cat "$venv/sources" 2>/dev/null)" ]; then
    # Without isolation: what builds it is in the environment already. From a copy: setuptools leaves its own files beside the sources.
    copy=$(mktemp -d)
    trap 'rm -rf "$copy"' EXIT
    cp -r python/. "$copy"
    rm -rf "$copy/build" # of an earlier pip install: its files would be taken for those of now
    "$venv/bin/pip" install -q --no-build-isolation "$copy[test]" >&2
    "$venv/bin/pip" install -q --no-build-isolation --force-reinstall --no-deps "$copy" >&2
    echo "$sources" >"$venv/sources"
fi
echo "$venv"
