#!/usr/bin/env python3
"""./dev bench python: actors in Python beside threads, asyncio, pools of processes, a pipe by hand, Pykka, Dask, Ray, xoscar and
Thespian, in the same run: each round plays every work on every system in turn. Raw samples go to build/bench/python.csv, pictures
to build/bench; --publish writes pictures and tables into docs. Exit 1 when a ratio that must be held is missed."""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path[:0] = [HERE, os.path.join(ROOT, "python")]
import report  # noqa: E402
from environment import environment  # noqa: E402
from one import GROUPS  # noqa: E402
from systems import SYSTEMS  # noqa: E402

# Who does not take part in what, and why.
LEFT_OUT = {
    ("Thespian", "cpu"): "its system asks one actor at a time",
    ("Thespian", "mixed"): "the same",
    ("Thespian", "bank"): "the same",
    ("Dask", "faults"): "an actor that died stays dead",
    ("Thespian", "arrays"): "minutes",
}


class Samples:
    """(work, system) -> rounds of values."""

    def __init__(self):
        self.values = {}
        self.units = {}
        self.rows = []

    def add(self, number, system, line):
        told = json.loads(line)
        self.values.setdefault((told["work"], system), []).append(told["value"])
        self.units[told["work"]] = told["unit"]
        self.rows.append([number, system, told["work"], told["value"], told["unit"]])

    def read(self, path):
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                told = {"work": row["work"], "value": float(row["value"]), "unit": row["unit"]}
                self.add(int(row["round"]), row["system"], json.dumps(told))

    def systems(self, work):
        return [system for name, system in self.values if name == work]

    def works(self):
        return list(self.units)

    def median(self, work, system):
        values = self.values.get((work, system))
        return statistics.median(values) if values else None

    def spread(self, work, system):
        values = self.values[(work, system)]
        return min(values), max(values)

    def write(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["round", "system", "work", "value", "unit"])
            writer.writerows(self.rows)


def measure(samples, python, number, system, group, options):
    command = [python, os.path.join(HERE, "one.py"), system, group] + (["--quick"] if options.quick else [])
    environ = dict(os.environ, HISTRIO_NODE=os.path.join(options.build, "bin", "histrio-node"))
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environ, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return f"{system} {group}: not over in 300 s"
    for line in done.stdout.splitlines():
        if line.startswith('{"work"'):
            samples.add(number, system, line)
    if done.returncode:
        return f"{system} {group}: exit code {done.returncode}\n{done.stderr[-2000:]}"
    return None


def measure_all(samples, problems, python, missing, options):
    for number in range(1, options.rounds + 1):
        for group in options.groups:
            for system in options.systems:
                if system in missing or (system, group) in LEFT_OUT:
                    continue
                problem = measure(samples, python, number, system, group, options)
                if problem:
                    print(problem, file=sys.stderr)
                    problems.append(problem)
        print(f"round {number} of {options.rounds} done", file=sys.stderr)


def results_differ(samples):
    """Works whose results are not the same everywhere."""
    wrong = []
    for work in samples.works():
        if work.startswith("check_"):
            results = {round(value, 6) for (name, _), values in samples.values.items() if name == work for value in values}
            if len(results) > 1:
                wrong.append(f"{work}: {sorted(results)}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small works: to see that all of it runs")
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=list(SYSTEMS))
    parser.add_argument("--groups", nargs="+", default=GROUPS, choices=GROUPS)
    parser.add_argument("--csv", default=os.path.join(ROOT, "build", "bench", "python.csv"))
    parser.add_argument("--publish", action="store_true", help="write docs/performance-python.md and its pictures")
    parser.add_argument("--report", action="store_true", help="measure nothing: report what the CSV file has")
    options = parser.parse_args()
    python, missing = environment(set(options.systems))
    samples, problems = Samples(), []
    if options.report:
        samples.read(options.csv)
    else:
        measure_all(samples, problems, python, missing, options)
        samples.write(options.csv)
    problems += results_differ(samples)
    print(report.tables(samples))
    print(report.must(samples))
    missed = report.missed(samples)
    report.pictures(samples, os.path.dirname(options.csv))
    if options.publish:
        report.publish(samples, python, options.rounds)
    for line in problems + missed:
        print(line)
    print(f"medians of {options.rounds} rounds; raw samples: {options.csv}")
    sys.exit(1 if problems or missed else 0)


if __name__ == "__main__":
    main()
