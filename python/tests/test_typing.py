"""mypy --strict and pyright on programs that use the package, and on the package."""

import json
import pathlib
import re
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
TOP = HERE.parent


def mypy(*arguments):
    """The lines with errors as {(file, line)}."""
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *arguments], cwd=TOP, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return {(pathlib.Path(path).name, int(line)) for path, line in re.findall(r"^(\S+?):(\d+): error", done.stdout, re.M)}, done.stdout


def pyright(*arguments):
    done = subprocess.run([sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", *arguments], cwd=TOP, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = [one for one in json.loads(done.stdout)["generalDiagnostics"] if one["severity"] == "error"]
    return {(pathlib.Path(one["file"]).name, one["range"]["start"]["line"] + 1) for one in found}, done.stdout


@pytest.mark.parametrize("tool", [mypy, pyright])
def test_good_programs_are_accepted(tool):
    wrong, text = tool("tests/typing/good.py")
    assert not wrong, text


@pytest.mark.parametrize("tool", [mypy, pyright])
def test_bad_programs_are_refused_line_by_line(tool):
    lines = (HERE / "typing/bad.py").read_text().splitlines()
    expected = {("bad.py", number) for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert len(expected) > 20
    wrong, text = tool("tests/typing/bad.py")
    assert wrong == expected, text


@pytest.mark.parametrize("tool", [mypy, pyright])
def test_the_package_itself(tool):
    wrong, text = tool("histrio")
    assert not wrong, text
