#!/usr/bin/env python3
"""generate.py KIND SEED COUNT: random scenarios of the kind `supervision` or `links`, for what nobody thought of.

The same seed gives the same scenarios. No step depends on chance or on time once it is written."""

import random
import re
import sys

STRATEGIES = ["one_for_one", "one_for_all", "rest_for_one"]
RESTARTS = ["permanent", "permanent", "transient", "temporary"]
REASONS = ["boom", "boom", "normal", "shutdown", "shutdown:x", "kill"]


class Supervision:
    def __init__(self, chance, number):
        self.chance = chance
        self.lines = [f"scenario random_{number}"]
        self.sups = ["top"]
        self.may_fail = False
        self.children = []

    def limits(self):
        return f"{self.chance.choice(STRATEGIES)} {self.chance.choice([0, 1, 2, 3, 3, 5, 20])} 100"

    def tree(self):
        self.lines.append(f"top {self.limits()}")
        for number in range(self.chance.randint(1, 8)):
            above = self.chance.choice(self.sups)
            under = "" if above == "top" else f" under {above}"
            restart = self.chance.choice(RESTARTS)
            if self.chance.random() < 0.25 and len(self.sups) < 4:
                name = f"s{number}"
                self.lines.append(f"sup {name} {self.limits()} {restart} infinity{under}")
                self.sups.append(name)
                continue
            name = f"c{number}"
            shutdown = self.chance.choice(["100", "100", "brutal", "infinity"])
            option = self.chance.choice(["", "", " trap", " ends:oops", " ends:normal", " ends:shutdown"])
            if self.chance.random() < 0.03:
                shutdown, option = "20", " stubborn"
            self.lines.append(f"child {name} {restart} {shutdown}{under}{option}")
            self.children.append(name)

    def step(self):
        chance = self.chance
        if not self.children:
            return "stop"
        name = chance.choice(self.children)
        what = chance.random()
        if what < 0.5:
            return f"exit {name} {chance.choice(REASONS)}"
        if what < 0.62 and self.may_fail:
            return f"fail {name} {chance.randint(1, 3)}"
        if what < 0.72:
            return f"signal {name} {chance.choice(['kill', 'boom', 'shutdown', 'normal'])}"
        if what < 0.9:
            verb = chance.choice(["terminate", "restart", "delete"])
            return f"{verb} {self.above(name)} {name}"
        return f"alive {name}"

    def above(self, name):
        line = next(line for line in self.lines if line.startswith(f"child {name} "))
        words = line.split()
        return words[words.index("under") + 1] if "under" in words else "top"

    def write(self):
        self.tree()
        if self.children and self.chance.random() < 0.3:
            self.may_fail = True
            # When a supervisor's start fails, the children before are ended at once: what traps exits has no say then,
            # as it would have on Erlang.
            plain = re.compile(" (trap|stubborn|ends:[a-z]*)$")
            self.lines = [plain.sub("", line) for line in self.lines]
            if self.chance.random() < 0.3:
                self.lines.append(f"fail {self.chance.choice(self.children)} 1")
        self.lines.append("start")
        self.lines += [self.step() for _ in range(self.chance.randint(3, 15))]
        return self.lines + ["stop", ""]


class Links:
    def __init__(self, chance, number):
        self.chance = chance
        self.lines = [f"scenario random_{number}", "unordered"]
        self.names = ["p", "q", "r", "s", "t"][: chance.randint(2, 5)]
        self.labels = 0

    def command(self, other):
        chance = self.chance
        what = chance.choice(["link", "link", "unlink", "monitor", "monitor", "demonitor", "trap", "signal", "send"])
        if what == "monitor":
            self.labels += 1
            return f"monitor {other} m{self.labels}"
        if what == "demonitor":
            return f"demonitor m{chance.randint(1, self.labels + 1)}"
        if what == "trap":
            return f"trap {chance.choice(['on', 'on', 'off'])}"
        if what == "signal":
            return f"signal {other} {chance.choice(REASONS)}"
        if what == "send":
            return f"send {other} word"
        return f"{what} {other}"

    def do(self, name):
        chance = self.chance
        commands = []
        for _ in range(chance.randint(1, 3)):
            commands.append(self.command(chance.choice(self.names)))
            # One reason to end a step: the order of two is nobody's promise. And on Erlang a signal to oneself, and link()
            # to the dead, end the sender inside of the call, ours after the handler.
            if commands[-1].startswith(("link", "signal")):
                return f"do {name} " + " ; ".join(commands)
        if chance.random() < 0.25:
            commands.append(f"exit {chance.choice(REASONS)}")
        return f"do {name} " + " ; ".join(commands)

    def write(self):
        chance = self.chance
        self.lines.append("procs " + " ".join(self.names))
        for _ in range(chance.randint(4, 14)):
            self.lines.append(self.do(chance.choice(self.names)))
        return self.lines + [f"alive {name}" for name in self.names] + [""]


def main():
    kind, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    make = {"supervision": Supervision, "links": Links}[kind]
    for number in range(count):
        print("\n".join(make(random.Random(seed * 1000003 + number), f"{seed}_{number}").write()))


if __name__ == "__main__":
    main()
