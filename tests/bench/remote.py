#!/usr/bin/env python3
"""./dev bench remote: asks and one-way messages between two nodes over TCP loopback, beside Erlang's distribution."""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import peers  # noqa: E402

ROWS = [
    ("remote_ask_p50", True, None),
    ("remote_ask_p99", True, None),
    ("remote_asks64", False, None),
    ("remote_oneway", False, None),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--csv", default="build/bench/remote.csv")
    options = parser.parse_args()
    erlang = peers.compile_erlang(options.build)
    samples = peers.Samples()
    for number in range(options.rounds):
        for workers in (1, 2):
            program = os.path.join(options.build, "bin/remote_bench")
            peers.run(samples, "histrio", [program, "--workers", str(workers)])
            peers.run(samples, "erlang", erlang("remote", workers))
        print(f"round {number + 1} of {options.rounds} done", file=sys.stderr)
    samples.write(options.csv)
    ok = peers.table(samples, ROWS)
    print(f"medians of {options.rounds} rounds, each side at its best worker count; raw samples: {options.csv}")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
