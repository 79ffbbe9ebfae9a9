#!/usr/bin/env python3
"""./dev bench failover: kills the runtime processes of tests/bench/failover.yaml in turn, and measures from each kill until
every actor that the node hosted has answered an ask again. Ends with 1 when the worst kill took longer than the limit."""

import argparse
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def measure(programs, manifest, kills, csv):
    """The rows that failover_bench printed: name -> ms."""
    histrio = os.path.join(programs, "histrio")
    with tempfile.TemporaryDirectory(prefix="histrio-bench-", dir="/tmp") as folder:
        environment = dict(os.environ, HISTRIO_RUN_DIR=folder + "/run", HISTRIO_STATE_DIR=folder + "/state")
        subprocess.run([histrio, "run", "--detach", manifest], env=environment, check=True)
        try:
            done = subprocess.run([os.path.join(programs, "failover_bench"), "failover", str(kills), csv],
                                  env=environment, stdout=subprocess.PIPE, text=True, check=False)
        finally:
            subprocess.run([histrio, "stop", "failover", "--timeout", "5s"], env=environment, check=False)
    if done.returncode != 0:
        sys.exit(1)
    print(done.stdout, end="")
    return {line.split()[0]: float(line.split()[2]) for line in done.stdout.splitlines()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--limit-ms", type=float, default=250)
    parser.add_argument("--csv", default="build/bench/failover.csv")
    parser.add_argument("--manifest", default=os.path.join(ROOT, "tests/bench/failover.yaml"))
    options = parser.parse_args()
    csv = os.path.abspath(options.csv)
    os.makedirs(os.path.dirname(csv), exist_ok=True)
    rows = measure(os.path.join(os.path.abspath(options.build), "bin"), options.manifest, options.kills, csv)
    worst = rows["failover_worst"]
    print(f"\n{'kills':>6}{'p50 ms':>9}{'p99 ms':>9}{'worst ms':>10}{'limit ms':>10}")
    print(f"{options.kills:>6}{rows['failover_p50']:>9.1f}{rows['failover_p99']:>9.1f}{worst:>10.1f}{options.limit_ms:>10.0f}")
    print(f"a line for each actor and kill: {os.path.relpath(csv)}")
    sys.exit(0 if worst <= options.limit_ms else 1)


if __name__ == "__main__":
    main()
