#!/usr/bin/env python3
"""run.py PROGRAM SCENARIOS FOLDER, or run.py PROGRAM KIND FOLDER SEED COUNT for random ones (generate.py).

Plays the scenarios on our runtime (PROGRAM) and on Erlang, and compares the traces. Then it breaks rules of ours one by
one (mutants): each must make some trace differ, or this test could not fail. Files that are made go to FOLDER."""

import difflib
import os
import subprocess
import sys

# What each scenario file must notice.
MUTANTS = {
    "supervision.txt": ["strategy", "rest", "restart", "intensity", "order", "brutal", "kill"],
    "links.txt": ["link", "unlink", "monitor", "demonitor", "trap"],
}


def without_last_words(lines):
    """What an actor notes in the step in which it ends: whether it handles a message before the signal that ends it is
    nobody's promise when they come from different senders, or when it is busy."""
    steps = []
    for line in lines:
        if line.startswith("- ") or not steps:
            steps.append([])
        steps[-1].append(line)
    result = []
    for step in steps:
        ended = {line.split()[1] for line in step if line.startswith("  end ")}
        result += [line for line in step if line.startswith(("- ", "  end ", "  start ")) or line.split()[0] not in ended]
    return result


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


def generate(kind, seed, count, folder):
    os.makedirs(folder, exist_ok=True)
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "generate.py")
    file = os.path.join(folder, f"{kind}-{seed}.txt")
    with open(file, "w", encoding="utf-8") as output:
        subprocess.run([sys.executable, script, kind, seed, count], stdout=output, check=True)
    return file


def play_erlang(source, file, folder):
    os.makedirs(folder, exist_ok=True)
    try:
        subprocess.run(["erlc", "-o", folder, os.path.join(source, "conformance.erl")], check=True)
    except FileNotFoundError:
        sys.exit("conformance: no erlc: install erlang-base (./dev setup)")
    return run(["erl", "+S", "1:1", "-noshell", "-pa", folder, "-eval", f'conformance:main(["{file}"]), halt(0).'])


def different(ours, erlang, is_random):
    clean = without_last_words if is_random else list
    return [name for name in erlang if clean(ours.get(name, [])) != clean(erlang[name])]


def main():
    program, file, folder = sys.argv[1:4]
    is_random = len(sys.argv) == 6
    if is_random:
        file = generate(file, sys.argv[4], sys.argv[5], folder)
    erlang = play_erlang(os.path.dirname(os.path.abspath(__file__)), file, folder)
    ours = run([program, file])
    wrong = different(ours, erlang, is_random)
    for name in wrong:
        print(f"scenario {name}")
        print("\n".join(difflib.unified_diff(erlang[name], ours.get(name, []), "erlang", "ours", lineterm="", n=20)))
    print(f"{len(erlang) - len(wrong)} of {len(erlang)} scenarios are as on Erlang")
    if wrong or set(ours) != set(erlang):
        sys.exit(1)
    for mutant in MUTANTS.get(os.path.basename(file), []):
        seen = different(run([program, file, "--mutant", mutant]), erlang, is_random)
        print(f"mutant {mutant}: {len(seen)} scenarios differ, as {seen[0] if seen else 'none'}")
        if not seen:
            sys.exit(f"the broken rule \"{mutant}\" was not noticed")


if __name__ == "__main__":
    main()
