#!/usr/bin/env python3
"""The operator is killed before and after each of its writes in the life of a bank: creation, scaling up and down, the death of
a runtime, the loss of a Pod, a new image, deletion. A new one takes over, and all ends as it does when nobody is killed.

A step of the life is done once undisturbed, then once for each of its writes and each side of it: the fault proxy holds the
write (before: the API server never sees it; after: it is done, its answer never arrives), the operator is killed with SIGKILL,
and the next one has to finish. Steps that undo each other alternate, so that each begins as the last one ended. Each group of
steps (a lane) has a namespace, a proxy, and an operator of its own, and all lanes run at once.

Not counted: the Lease, which goes on by itself, and Events, which nobody waits for.

With HISTRIO_TEST_LONG=1 all of it is done twice, the second time with one more kill: of the operator that takes over, at its first
write (the raised term). HISTRIO_TEST_LANES=create,image chooses lanes.
"""

import collections
import contextlib
import os
import signal
import sys
import threading
import time
import traceback
import typing
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
from api_server import ApiServer  # noqa: E402
from bank_system import BankSystem, PodCounter  # noqa: E402
from fake_kubelet import FakeKubelet  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from histrio_operator import BUILD, SLOW, Operator, install_crds, wait_until  # noqa: E402

IS_LONG = bool(os.environ.get("HISTRIO_TEST_LONG"))
LANES = os.environ.get("HISTRIO_TEST_LANES", "create,scale,runtime,pod,image").split(",")
SIDES = ("before", "after")
WRITES = "[cpud]*"  # create, patch, update, delete; reads begin with g, l and w
QUIET_SECONDS = 1.5 * SLOW  # status is written once a second at most
PROBLEMS_MAX = 10  # then a lane gives up


def epoch_of(row):
    return tuple(int(part) for part in row["epoch"].split("."))


class Point(typing.NamedTuple):
    """A moment to kill an operator at: a write that a step makes, the first or a later one of its kind."""
    side: str
    verb: str
    resource: str
    number: int

    def __str__(self):
        return f"{self.side} its {self.verb} {self.resource} number {self.number}"


class Step:
    """One change of the life. Its methods say what it does and what may be different afterwards."""
    nodes = 2
    pods_made = 0

    def __init__(self, lane):
        self.lane = lane
        self.points = collections.deque()  # that are left

    def do(self):
        raise NotImplementedError

    def is_done(self):
        """More than that the system is settled."""
        return True

    def check_row(self, path, old, new):
        """An actor that is where it was must not have been restarted there."""
        self.lane.check((old["node"], old["epoch"], old["incarnation"]) == (new["node"], new["epoch"], new["incarnation"]),
                        f"{path} was {old}, is {new}")

    def check_spread(self, rows):
        """No node has two units more than another."""
        counts = collections.Counter({name: 0 for name in self.lane.pods_now})
        counts.update({path: row["node"] for path, row in rows.items() if "/" not in path}.values())
        self.lane.check(max(counts.values()) - min(counts.values()) < 2, f"units are {dict(counts)}")

    def check_moved(self, path, old, new, nodes):
        """It began once, on one of the nodes, at a higher epoch."""
        self.lane.check(new["node"] in nodes and epoch_of(new) > epoch_of(old), f"{path} was {old}, is {new}")


class Create(Step):
    pods_made = 2

    def __init__(self, lane):
        super().__init__(lane)
        self.were_late = []

    def do(self):
        self.lane.bank.create()

    def check_all(self, old, new):
        self.were_late.append(any(row["rule"] == "Balance" for row in new.values()))
        for path, row in new.items():
            starts = 2 if row["rule"] == "Balance" else 1  # a node that came late gets its share
            self.lane.check(1 <= row["incarnation"] <= starts, f"{path} was started more than once: {row}")
        self.check_spread(new)


class Up(Step):
    nodes, pods_made = 3, 1

    def do(self):
        self.lane.bank.scale(3)

    def is_done(self):
        """Units have moved for balance, or need not."""
        return self.lane.bank.fence().get("spreadNodes") == 3

    def check_row(self, path, old, new):
        if new["node"] in self.lane.pods_before:
            super().check_row(path, old, new)
        else:
            self.check_moved(path, old, new, self.lane.pods_now)
            self.lane.check(new["incarnation"] == 1, f"{path} came twice to the new node: {new}")

    def check_all(self, old, new):
        self.check_spread(new)


class Down(Step):
    def do(self):
        self.lane.bank.scale(2)

    def check_row(self, path, old, new):
        if old["node"] in self.lane.pods_now:
            super().check_row(path, old, new)
        else:
            self.check_moved(path, old, new, self.lane.pods_now)


class RuntimeKilled(Step):
    def do(self):
        row = self.lane.bank.rows()["ledger"]
        self.node, self.epoch = row["node"], epoch_of(row)
        os.kill(self.lane.kubelet.runtime(self.node), signal.SIGKILL)

    def is_done(self):
        return epoch_of(self.lane.bank.rows()["ledger"]) > self.epoch

    def check_row(self, path, old, new):
        if old["node"] == self.node:
            self.check_moved(path, old, new, self.lane.pods_now)
        else:
            super().check_row(path, old, new)


class PodKilled(RuntimeKilled):
    pods_made = 1

    def do(self):
        row = self.lane.bank.rows()["ledger"]
        self.node, self.epoch = row["node"], epoch_of(row)
        self.lane.kubelet.kill(self.node)

    def is_done(self):
        return super().is_done() and self.node not in self.lane.bank.pods()

    def check_row(self, path, old, new):
        """Beside what was there, units may come to the Pod that replaces it, for balance."""
        if old["node"] != self.node and new["node"] not in self.lane.pods_before:
            self.check_moved(path, old, new, self.lane.pods_now)
        else:
            super().check_row(path, old, new)


class Image(Step):
    pods_made = 2

    def do(self):
        now = next(iter(self.lane.bank.pods().values()))["spec"]["containers"][0]["image"]
        self.image = "example/bank:2" if now.endswith(":1") else "example/bank:1"
        self.lane.bank.change(nodes={"image": self.image})

    def check_row(self, path, old, new):
        self.check_moved(path, old, new, set(self.lane.pods_now) - set(self.lane.pods_before))

    def check_all(self, old, new):
        images = {pod["spec"]["containers"][0]["image"] for pod in self.lane.pods_now.values()}
        self.lane.check(images == {self.image}, f"images are {images}")


class Delete(Step):
    nodes = 0

    def do(self):
        self.lane.bank.delete()

    def is_done(self):
        return not self.lane.bank.pods()


class Lane:
    """Steps that follow each other again and again, with an operator that is killed."""

    def __init__(self, server, kubelet, name, steps):
        self.server, self.kubelet, self.name = server, kubelet, name
        self.namespace = f"lane-{name}"
        self.proxy = FaultProxy(server)
        self.bank = BankSystem(server, f"bank-{name}", self.namespace)
        self.steps = [step(self) for step in steps]
        self.operator = None
        self.problems = []
        self.points = 0
        self.epochs = {}
        self.now = ""  # what is being done
        self.has_more_kills = False

    def __enter__(self):
        self.server.client().create("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        self.proxy.__enter__()
        self.counter = PodCounter(self.bank)
        return self

    def __exit__(self, *_):
        self.counter.stop()
        if self.operator:
            self.operator.kill()
        self.proxy.__exit__()

    def check(self, is_true, problem):
        if not is_true:
            self.problems.append(f"{self.now}: {problem}")
            print(f"problem: {self.problems[-1]}", flush=True)

    # ---- operators ----

    def start_operator(self):
        """Of one identity, as a container that is started again: it has its Lease back at once."""
        kubeconfig = self.server.kubeconfig(url=self.proxy.url, namespace=self.namespace)
        self.operator = Operator(kubeconfig, f"--namespace={self.namespace}", "--identity=sweep")

    def ignore_side_writes(self):
        """Rules before all others; the first that matches counts a request."""
        self.proxy.clear()
        for resource in ("leases", "events"):
            self.proxy.add(verb=WRITES, resource=resource, delay=0.001)

    def counted_writes(self):
        return [request for request in self.proxy.writes() if request.resource not in ("leases", "events")]

    # ---- one step ----

    def is_over(self, step):
        return (not step.nodes or self.bank.is_settled(step.nodes, self.operator)) and step.is_done()

    def is_quiet(self):
        """What comes a moment later, as a move for balance, has come."""
        writes = self.counted_writes()
        return not writes or time.monotonic() - writes[-1].time > QUIET_SECONDS

    def look(self):
        return self.bank.pods(), self.bank.rows(), self.bank.owned() if self.bank.client.find(self.bank.path) else {}

    def kill_at(self, step, point):
        """True when there was such a write."""
        rule = self.proxy.add(verb=point.verb, resource=point.resource, skip=point.number - 1, count=1, hold=point.side)
        step.do()
        while not rule.held:
            time.sleep(0.02)
            if self.is_quiet() and self.is_over(step):
                return False
        self.operator.kill()
        rule.release("cut")
        self.ignore_side_writes()
        if self.has_more_kills:
            self.kill_at_take_over(point.side)
        self.start_operator()
        return True

    def kill_at_take_over(self, side):
        rule = self.proxy.add(verb=WRITES, count=1, hold=side)
        self.start_operator()
        rule.wait_held(30 * SLOW)
        self.operator.kill()
        rule.release("cut")
        self.ignore_side_writes()

    def done(self, step, point=None):
        """Does the step, with a kill if a point is given; False: it has no such write."""
        self.now = f"{self.name}: {type(step).__name__}, {f'killed {point}' if point else 'undisturbed'}"
        self.pods_before, rows_before, owned_before = self.look()
        runtimes = {name: self.kubelet.runtime(name) for name in self.pods_before}
        made = set(self.counter.made)
        self.ignore_side_writes()
        was_killed = point and self.kill_at(step, point)
        if not point:
            step.do()
        wait_until(lambda: f"{self.now}: it is over: {self.bank.status() if step.nodes else ''}\n{self.operator.log()[-4000:]}",
                   lambda: self.is_quiet() and self.is_over(step), 60)
        if step.nodes:
            self.check_end(step, rows_before, owned_before, runtimes)
        wait_until(lambda: f"{self.now}: {step.pods_made} Pods are made: {self.counter.made}",
                   lambda: len(set(self.counter.made) - made) >= step.pods_made, 5)
        names = [self.counter.made[uid] for uid in set(self.counter.made) - made]
        self.check(len(names) == step.pods_made, f"{names} were made, not {step.pods_made}")
        self.check(self.operator.process.poll() is None, f"the operator ended: {self.operator.log()[-2000:]}")
        return was_killed

    def check_end(self, step, rows_before, owned_before, runtimes):
        self.pods_now, rows, owned = self.look()
        uid = self.bank.get()["metadata"]["uid"]
        for path, row in rows.items():
            self.check(epoch_of(row) >= self.epochs.get((uid, path), (0, 0)), f"the epoch of {path} fell: {row}")
            self.epochs[(uid, path)] = epoch_of(row)
        if rows_before:
            self.check(rows.keys() == rows_before.keys(), f"actors are {sorted(rows)}")
            for path, row in rows.items():
                step.check_row(path, rows_before[path], row)
        if hasattr(step, "check_all"):
            step.check_all(rows_before, rows)
        for name in runtimes.keys() & self.pods_now.keys():
            is_meant = isinstance(step, RuntimeKilled) and name == step.node
            self.check(is_meant or self.kubelet.runtime(name) == runtimes[name], f"the runtime of {name} is another one")
        self.check_owned(uid, owned, owned_before)
        self.check_fence(rows)

    def check_owned(self, uid, owned, owned_before):
        kinds = sorted(path.split("/")[-2] for path in owned)
        self.check(kinds == ["actorfences", "actorplacements", "poddisruptionbudgets", "secrets", "services"], f"there are {kinds}")
        for path, item in owned.items():
            owners = [owner["uid"] for owner in item["metadata"]["ownerReferences"]]
            self.check(owners == [uid], f"{path} belongs to {owners}, not to {uid}")
            before = owned_before.get(path)
            if before and "/secrets/" in path:
                self.check(before["data"] == item["data"], f"{path} was made anew")

    def check_fence(self, rows):
        """The record knows those nodes that are there, with names below the next serial."""
        def is_whole():
            record = self.bank.fence()
            members = sorted(member["node"] for member in record["roster"]["members"])
            serials = [int(name.rsplit("-", 1)[1]) for name in self.pods_now]
            return (members == sorted(self.pods_now) and record["cordons"] == record["quarantines"] == []
                    and max(serials) < record["nextSerial"])
        wait_until(lambda: f"{self.now}: the fence record is whole: {self.bank.fence()}", is_whole, 10)
        term = self.bank.fence()["term"]
        self.check(max(epoch_of(row)[0] for row in rows.values()) <= term, f"term {term} is behind an epoch: {rows}")

    # ---- all of them ----

    def undisturbed(self, step):
        """What it writes then are the points to kill at."""
        before = len(self.counted_writes())
        self.done(step)
        numbers = collections.Counter()
        for request in self.counted_writes()[before:]:
            numbers[request.verb, request.resource] += 1
            step.points.extend(Point(side, request.verb, request.resource, numbers[request.verb, request.resource]) for side in SIDES)
        print(f"{self.now}: {dict(numbers)}", flush=True)

    def begin_anew(self):
        """After a failure: the next point is to tell about itself."""
        self.operator.kill()
        self.bank.delete()
        self.kubelet.restore()
        self.start_operator()
        if not isinstance(self.steps[0], Create):
            self.bank.create()
            self.bank.wait_settled(2, self.operator)

    def killed(self, step, point):
        """One point. How many changes of the status are one write varies: so there may be no second one."""
        started = time.monotonic()
        try:
            is_reached = self.done(step, point)
            self.points += bool(is_reached)
            print(f"{self.now}: {time.monotonic() - started:.1f} s{'' if is_reached or not point else ', there is none'}", flush=True)
            self.check(is_reached or not point or point.number > 1, "there is no such write")
        except Exception:  # pylint: disable=broad-except
            self.problems.append(f"{self.now}: {traceback.format_exc()}")
            self.begin_anew()

    def sweep(self):
        self.start_operator()
        if not isinstance(self.steps[0], Create):
            self.bank.create()
            self.bank.wait_settled(2, self.operator)
        for self.has_more_kills in (False, True) if IS_LONG else (False,):
            for step in self.steps:
                self.undisturbed(step)
            self.check(any(step.points for step in self.steps), "nothing was written")
            while any(step.points for step in self.steps) and len(self.problems) < PROBLEMS_MAX:
                for step in self.steps:  # they take turns, as each begins where the last one ended
                    self.killed(step, step.points.popleft() if step.points else None)


class Sweep(unittest.TestCase):
    LANES = {"create": (Create, Delete), "scale": (Up, Down), "runtime": (RuntimeKilled,), "pod": (PodKilled,), "image": (Image,)}

    def test_kill_at_each_write(self):
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(ApiServer())
            install_crds(server)
            kubelet = stack.enter_context(
                FakeKubelet(server, 3, os.path.join(BUILD, "bin", "histrio-node"), os.path.join(BUILD, "examples")))
            lanes = [stack.enter_context(Lane(server, kubelet, name, self.LANES[name])) for name in LANES]
            threads = [threading.Thread(target=self.run_lane, args=(lane,), name=lane.name) for lane in lanes]
            started = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            problems = [problem for lane in lanes for problem in lane.problems]
            print(f"killed at {sum(lane.points for lane in lanes)} points in {time.monotonic() - started:.0f} s")
            self.assertEqual(problems, [], "\n\n".join(problems))
            late = [was_late for lane in lanes for step in lane.steps if isinstance(step, Create) for was_late in step.were_late]
            self.assertFalse(all(late), "each creation needed moves for balance")

    @staticmethod
    def run_lane(lane):
        try:
            lane.sweep()
        except Exception:  # pylint: disable=broad-except
            lane.problems.append(f"{lane.now}: {traceback.format_exc()}")


if __name__ == "__main__":
    unittest.main()
