#!/usr/bin/env python3
"""./dev bench failover: kills the runtime processes of examples/bank in turn and measures until all actors of each answer
again. Ends with 1 when the worst kill took longer than the limit."""

import argparse
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--limit-ms", type=float, default=250)
    parser.add_argument("--csv", default="build/bench/failover.csv")
    options = parser.parse_args()
    programs = os.path.join(os.path.abspath(options.build), "bin")
    csv = os.path.abspath(options.csv)
    os.makedirs(os.path.dirname(csv), exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="histrio-bench-", dir="/tmp") as folder:
        environment = dict(os.environ, HISTRIO_RUN_DIR=folder + "/run", HISTRIO_STATE_DIR=folder + "/state")
        histrio = os.path.join(programs, "histrio")
        manifest = os.path.join(ROOT, "examples/bank/bank.yaml")
        subprocess.run([histrio, "run", "--detach", manifest], env=environment, check=True)
        try:
            done = subprocess.run([os.path.join(programs, "failover_bench"), "bank", str(options.kills), csv],
                                  env=environment, stdout=subprocess.PIPE, text=True, check=False)
        finally:
            subprocess.run([histrio, "stop", "bank", "--timeout", "5s"], env=environment, check=False)
    print(done.stdout, end="")
    worst = re.search(r"worst ([0-9.]+) ms", done.stdout)
    if done.returncode != 0 or not worst:
        sys.exit(1)
    print(f"limit {options.limit_ms:.0f} ms; a line for each actor and kill: {options.csv}")
    sys.exit(0 if float(worst.group(1)) <= options.limit_ms else 1)


if __name__ == "__main__":
    main()
