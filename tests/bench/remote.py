#!/usr/bin/env python3
"""./dev bench remote: messages between two node processes on this machine (TCP loopback), beside two Erlang nodes in the same
interleaved run. Both sides use one worker a node: with two nodes on two cores more of them only compete."""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import peers  # noqa: E402

# name, lower is better, least ratio to Erlang
ROWS = [
    ("remote_ask_p50", True, 1.7),  # 35 us against 60
    ("remote_ask_p99", True, 1.0),
    ("remote_asks", False, None),  # 64 callers
    ("remote_oneway", False, 20),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--address", choices=["tcp", "unix"], default="tcp")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--csv", default="build/bench/remote.csv")
    options = parser.parse_args()
    erlang = peers.compile_erlang(options.build)
    ours = [os.path.join(options.build, "bin/remote_bench"), options.address, "--workers", str(options.workers)]
    samples = peers.Samples()
    for number in range(options.rounds):
        peers.run(samples, "histrio", ours)
        peers.run(samples, "erlang", erlang("remote", options.workers))
        print(f"round {number + 1} of {options.rounds} done", file=sys.stderr)
    samples.write(options.csv)
    ok = peers.table(samples, ROWS)
    print(f"medians of {options.rounds} rounds; raw samples: {options.csv}")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
