#!/usr/bin/env python3
"""run.py [--hosted LIBRARY] PROGRAM SCENARIOS FOLDER, or run.py [--hosted LIBRARY] PROGRAM KIND FOLDER SEED COUNT for random ones
(generate.py).

Plays the scenarios on our runtime (PROGRAM) and on Erlang, and compares the traces. Then it breaks rules of ours one by
one (mutants): each must make some trace differ, or this test could not fail. Files that are made go to FOLDER. --hosted: actors
run in worker processes."""

import argparse
import difflib
import os
import subprocess
import sys

# What each scenario file must notice.
MUTANTS = {
    "supervision.txt": ["strategy", "rest", "restart", "intensity", "order", "brutal", "kill"],
    "links.txt": ["link", "unlink", "monitor", "demonitor", "trap"],
}


# What is different by design when each actor is in a worker process of its own.
STARTS_FAIL = "starts do not wait for each other, and one that fails is an end as others: restarted, and counted"
AT_ONCE = "two processes are really two at once: who ends first is chance"
DIFFERENT_WHEN_HOSTED = {
    "first_start_fails": STARTS_FAIL,
    "first_child_fails": STARTS_FAIL,
    "failed_restart_in_one_for_all": STARTS_FAIL,
    "failed_restart_in_rest_for_one": STARTS_FAIL,
    "failed_restart_of_a_later_temporary": STARTS_FAIL,
    "restart_child_fails": STARTS_FAIL,
    "nested_first_start_fails": STARTS_FAIL,
    "nested_restart_fails_inside": STARTS_FAIL,
    "two_at_once_one_for_one": AT_ONCE,
    "two_at_once_one_for_all": AT_ONCE,
    "two_at_once_rest_for_one_later_first": AT_ONCE,
    "two_at_once_rest_for_one_earlier_first": AT_ONCE,
}


def without_order_of_starts(lines):
    """Starts of hosted actors run side by side, and what wanted them does not wait for them."""
    result, starts = [], []
    for line in lines:
        if line.startswith("  start ") or line in ("  up", "  ok"):
            starts.append(line)
            continue
        result += sorted(starts) + [line]
        starts = []
    return result + sorted(starts)


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
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
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


def different(ours, erlang, options):
    def clean(name, lines):
        if options.count:
            lines = without_last_words(lines)
        return without_order_of_starts(lines) if options.hosted else lines

    return [name for name in erlang if clean(name, ours.get(name, [])) != clean(name, erlang[name])]


def is_played(lines, name, options):
    """In hosted play, what is not different by design."""
    return not options.hosted or (name not in DIFFERENT_WHEN_HOSTED and not (options.count and any(line.endswith(" fails") for line in lines)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hosted", metavar="LIBRARY")
    parser.add_argument("program")
    parser.add_argument("scenarios")
    parser.add_argument("folder")
    parser.add_argument("seed", nargs="?")
    parser.add_argument("count", nargs="?")
    options = parser.parse_args()
    file = options.scenarios
    if options.count:
        file = generate(file, options.seed, options.count, options.folder)
    command = [options.program, file] + (["--hosted", options.hosted] if options.hosted else [])
    erlang = play_erlang(os.path.dirname(os.path.abspath(__file__)), file, options.folder)
    ours = run(command)
    erlang = {name: lines for name, lines in erlang.items() if is_played(lines, name, options)}
    wrong = different(ours, erlang, options)
    for name in wrong:
        print(f"scenario {name}")
        print("\n".join(difflib.unified_diff(erlang[name], ours.get(name, []), "erlang", "ours", lineterm="", n=20)))
    print(f"{len(erlang) - len(wrong)} of {len(erlang)} scenarios are as on Erlang")
    if wrong:
        sys.exit(1)
    for mutant in MUTANTS.get(os.path.basename(file), []):
        seen = different(run([*command, "--mutant", mutant]), erlang, options)
        print(f"mutant {mutant}: {len(seen)} scenarios differ, as {seen[0] if seen else 'none'}")
        if not seen:
            sys.exit(f"the broken rule \"{mutant}\" was not noticed")


if __name__ == "__main__":
    main()
