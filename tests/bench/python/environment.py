"""The virtual environment of the benchmarks, below build/bench: the package of this tree, what it needs, and peers from PyPI.

    tests/bench/python/environment.py        # makes it, without peers, and prints its interpreter
"""

import os
import shutil
import subprocess
import sys
import tempfile

from pypi import PACKAGES

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def environment(systems):
    """(its interpreter, those of the systems that could not be installed, which it says)."""
    folder = os.path.join(ROOT, "build", "bench", "venv")
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "msgpack", "numpy", "setuptools>=66", "wheel"], check=True)
    with tempfile.TemporaryDirectory() as copy:  # setuptools leaves its own files beside the sources
        shutil.copytree(os.path.join(ROOT, "python"), copy, dirs_exist_ok=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps", "--force-reinstall", copy], check=True)
    missing = set()
    for system in PACKAGES.keys() & systems:
        package = PACKAGES[system]
        if subprocess.run([python, "-m", "pip", "install", "-q", package], check=False, stdout=subprocess.DEVNULL).returncode:
            print(f"not measured: {system}: {package} does not install", file=sys.stderr)
            missing.add(system)
    return python, missing


if __name__ == "__main__":
    print(environment(set())[0])
