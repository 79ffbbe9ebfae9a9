#!/usr/bin/env python3
"""./dev bench actor: the node runtime beside Erlang, in the same interleaved run, both at 1 and 2 workers."""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import peers  # noqa: E402

# name, lower is better, least ratio to Erlang's best
ROWS = [
    ("pingpong", False, 12),
    ("pairs8", False, None),
    ("ring", False, 12),
    ("fanin", False, 6),
    ("spawn", False, 6),
    ("idle", True, None),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--csv", default="build/bench/actor.csv")
    parser.add_argument("names", nargs="*", help="of: " + " ".join(row[0] for row in ROWS))
    options = parser.parse_args()
    rows = [row for row in ROWS if not options.names or row[0] in options.names]
    erlang = peers.compile_erlang(options.build)
    samples = peers.Samples()
    for number in range(options.rounds):
        for name, _, _ in rows:
            for workers in (1, 2):
                if name == "idle" and (workers == 2 or number > 0):
                    continue  # memory does not vary by round
                peers.run(samples, "histrio", [os.path.join(options.build, "bin/actor_bench"), name, "--workers", str(workers)])
                peers.run(samples, "erlang", erlang(name, workers))
        print(f"round {number + 1} of {options.rounds} done", file=sys.stderr)
    samples.write(options.csv)
    # What a program prints beside the asked name (an idle named actor, say) gets a row of its own.
    known = {row[0] for row in ROWS}
    extra = [(name, True, None) for name in samples.names() if name not in known]
    ok = peers.table(samples, rows + extra)
    print(f"medians of {options.rounds} rounds, each side at its best worker count; raw samples: {options.csv}")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
