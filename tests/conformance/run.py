#!/usr/bin/env python3
"""run.py PROGRAM SCENARIOS FOLDER: plays the scenarios on our runtime (PROGRAM) and on Erlang, and compares the traces.

Then it breaks rules of ours one by one (mutants): each must make some trace differ, or this test could not fail."""

import difflib
import os
import subprocess
import sys

# What each scenario file must notice.
MUTANTS = {
    "supervision.txt": ["strategy", "rest", "restart", "intensity", "order", "brutal", "kill"],
    "links.txt": ["link", "unlink", "monitor", "demonitor", "trap"],
}


def scenarios(text):
    """name -> lines"""
    result = {}
    for line in text.splitlines():
        if line.startswith("scenario "):
            lines = result.setdefault(line.removeprefix("scenario "), [])
        else:
            lines.append(line)
    return result


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return scenarios(done.stdout)


def play_erlang(source, file, folder):
    os.makedirs(folder, exist_ok=True)
    try:
        subprocess.run(["erlc", "-o", folder, os.path.join(source, "conformance.erl")], check=True)
    except FileNotFoundError:
        sys.exit("conformance: no erlc: install erlang-base (./dev setup)")
    return run(["erl", "+S", "1:1", "-noshell", "-pa", folder, "-eval", f'conformance:main(["{file}"]), halt(0).'])


def different(ours, erlang):
    return [name for name in erlang if ours.get(name) != erlang[name]]


def main():
    program, file, folder = sys.argv[1:]
    erlang = play_erlang(os.path.dirname(os.path.abspath(__file__)), file, folder)
    ours = run([program, file])
    wrong = different(ours, erlang)
    for name in wrong:
        print(f"scenario {name}")
        print("\n".join(difflib.unified_diff(erlang[name], ours.get(name, []), "erlang", "ours", lineterm="", n=20)))
    print(f"{len(erlang) - len(wrong)} of {len(erlang)} scenarios are as on Erlang")
    if wrong or set(ours) != set(erlang):
        sys.exit(1)
    for mutant in MUTANTS[os.path.basename(file)]:
        seen = different(run([program, file, "--mutant", mutant]), erlang)
        print(f"mutant {mutant}: {len(seen)} scenarios differ, as {seen[0] if seen else 'none'}")
        if not seen:
            sys.exit(f"the broken rule \"{mutant}\" was not noticed")


if __name__ == "__main__":
    main()
