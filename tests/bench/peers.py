"""Runs benchmark programs of ours and of Erlang in turns, and prints medians and ratios.

Every program prints lines `name workers value unit`; a round runs each command once, in turn, so that a machine whose speed
drifts slows both sides alike. Raw samples go to a CSV file."""

import csv
import os
import statistics
import subprocess
import sys


class Samples:
    """(side, name, workers) -> values, in the order of rounds."""

    def __init__(self):
        self.values = {}
        self.units = {}

    def add(self, side, line):
        name, workers, value, unit = line.split()
        self.values.setdefault((side, name, int(workers)), []).append(float(value))
        self.units[name] = unit

    def names(self):
        return list(dict.fromkeys(name for _, name, _ in self.values))

    def median(self, side, name, workers):
        values = self.values.get((side, name, workers))
        return statistics.median(values) if values else None

    def best(self, side, name, lower_is_better):
        """(median, workers) at the side's best worker count, or None."""
        medians = [(self.median(side, name, w), w) for s, n, w in self.values if (s, n) == (side, name)]
        if not medians:
            return None
        return min(medians) if lower_is_better else max(medians)

    def write(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["side", "name", "workers", "round", "value", "unit"])
            for (side, name, workers), values in self.values.items():
                for number, value in enumerate(values, 1):
                    writer.writerow([side, name, workers, number, value, self.units[name]])


def run(samples, side, command, timeout=300):
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    lines = [line for line in done.stdout.splitlines() if len(line.split()) == 4]
    if done.returncode != 0 or not lines:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    for line in lines:
        samples.add(side, line)


def compile_erlang(build):
    """Compiles the Erlang side into the build folder and returns the command's beginning for `workers` schedulers."""
    folder = os.path.join(build, "bench-erlang")
    os.makedirs(folder, exist_ok=True)
    subprocess.run(["erlc", "-o", folder, "tests/bench/erlang/bench.erl"], check=True)

    def command(name, workers):
        return ["erl", "+S", f"{workers}:{workers}", "+P", "4000000", "-noshell", "-pa", folder,
                "-eval", f'bench:main(["{name}"]), halt(0).']

    return command


def table(samples, rows):
    """rows: (name, lower is better, ratio that must be reached or None). Returns whether all were reached."""
    ok = True
    print(f"{'work':<24}{'ours':>12}{'workers':>9}{'Erlang':>12}{'workers':>9}{'ratio':>8}{'must':>7}  unit")
    for name, lower, must in rows:
        ours, peer = samples.best("histrio", name, lower), samples.best("erlang", name, lower)
        if ours is None:
            continue
        line = f"{name:<24}{ours[0]:>12.4g}{ours[1]:>9}"
        if peer is None:
            line += f"{'-':>12}{'-':>9}{'-':>8}"
        else:
            ratio = peer[0] / ours[0] if lower else ours[0] / peer[0]
            line += f"{peer[0]:>12.4g}{peer[1]:>9}{ratio:>8.1f}"
            if must is not None and ratio < must:
                ok = False
        print(f"{line}{must if must is not None else '-':>7}  {samples.units[name]}")
    return ok
