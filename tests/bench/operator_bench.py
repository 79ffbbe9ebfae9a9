#!/usr/bin/env python3
"""What the operator costs, and how fast it is: against a real API server, with 10,000 pods on kwok's machines.

    ./dev bench operator [--pods 1000,5000,10000] [--systems 1000] [--changes 50] [--idle 60]

Pods on kwok's machines run at once and run nothing: no Control stream comes about, so what is measured is the Kubernetes half
of the operator. Each row has its "must", and what KubeRay 1.6.2 took for the same on such a bed (published figures of one
machine with 2 cores; it is not run here). Exit code 1: a must was missed. Smaller numbers of pods and systems make it quicker; rows
whose sizes were not reached say so.
"""

import argparse
import datetime
import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time

BENCH = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(BENCH))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
from api_server import ApiServer  # noqa: E402
from histrio_operator import FENCES, PODS, SYSTEMS, Operator, install_crds  # noqa: E402

SETTLE_S = 15  # by then the operator has given free memory back
NOTHING_BYTES = 100
PODS_A_SYSTEM = 500
PODS_A_MACHINE = 200
FOREIGN_PODS = 5000
CREATED_PODS = 4000
CREATORS = 8
OURS = "labelSelector=app.kubernetes.io%2Fmanaged-by%3Dhistrio-operator"
WRITES = ("create", "update", "patch", "delete")
SERVER = ["--service-cluster-ip-range=10.96.0.0/16", "--audit-log-maxsize=8000"]


def manifest(name, replicas):
    return {"apiVersion": "histrio.dev/v1alpha1", "kind": "ActorSystem", "metadata": {"name": name},
            "spec": {"nodes": {"replicas": replicas, "image": "none:1"},
                     "code": {"c": [{"library": "bank", "path": "libbank.so"}]},
                     "actors": [{"name": "ledger", "behavior": {"c": "bank.ledger"}}]}}


def foreign_pod(number):
    return {"metadata": {"name": f"foreign-{number}", "labels": {"app": "other"}},
            "spec": {"schedulerName": "nobody", "containers": [{"name": "main", "image": "other:1", "env": [
                {"name": f"VARIABLE_{i}", "value": "a value of some length"} for i in range(10)]}]}}


def wait_for(what, condition, seconds, pause=0.01):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"not in {seconds} s: {what}")
        time.sleep(pause)


def memory_mib(process):
    """Private memory (Pss_Anon) and resident memory."""
    figures = {}
    with open(f"/proc/{process.pid}/smaps_rollup") as file:
        for line in file:
            name, _, rest = line.partition(":")
            if rest.strip().endswith("kB"):
                figures[name] = int(rest.split()[0]) / 1024
    return figures["Pss_Anon"], figures["Rss"]


def cpu_seconds(process):
    with open(f"/proc/{process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def at(timestamp):
    return datetime.datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()


def percentile(samples, share):
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def create_all(server, path, objects):
    """With a few connections that stay open."""
    address = server.client().address
    left = iter(list(objects))
    lock = threading.Lock()
    problems = []

    def work():
        connection = http.client.HTTPSConnection(address.hostname, address.port, context=server.client().tls, timeout=60)
        headers = {"Authorization": f"Bearer {server.admin_token}", "Content-Type": "application/json", "User-Agent": "histrio-bench"}
        while True:
            with lock:
                body = next(left, None)
            if body is None:
                break
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 201:
                problems.append(text[:500])
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(CREATORS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise SystemExit(f"not created: {problems[0]}")


class Audit:
    """What the API server was asked, read on from where it was read last."""

    def __init__(self, server):
        self.file = open(server.path("audit.log"))
        self.rest = ""

    def rows(self):
        text = self.rest + self.file.read()
        lines = text.split("\n")
        self.rest = lines.pop()
        rows = [json.loads(line) for line in lines]
        return [row for row in rows if row["stage"] == "ResponseComplete"]

    def writes(self):
        """The operator's that worked, but for its Lease."""
        return [row for row in self.rows() if is_write(row)]


def is_write(row):
    return (row["verb"] in WRITES and row.get("userAgent", "").startswith("histrio-operator") and
            "/leases" not in row["requestURI"] and row["responseStatus"]["code"] < 400)


class Report:
    def __init__(self):
        self.missed = []

    def row(self, what, value, must, unit, kuberay="", more=""):
        holds = value <= must
        if not holds:
            self.missed.append(what)
        notes = [f"must {must:g}"] + [f"KubeRay {kuberay}"] * bool(kuberay) + [more] * bool(more)
        print(f"{what}: {value:.2f} {unit} ({'; '.join(notes)}): {'holds' if holds else 'MISSED'}", flush=True)

    def end(self):
        print(f"missed: {', '.join(self.missed)}" if self.missed else "all hold", flush=True)
        return 1 if self.missed else 0


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.sizes = [int(size) for size in arguments.pods.split(",")]
        self.program = os.path.join(arguments.build, "bin/histrio-operator")
        self.report = Report()

    def operator(self, server, identity):
        return Operator(server.kubeconfig(), f"--identity={identity}", program=self.program)

    def memory(self, operator, what, must=None, kuberay=""):
        private, resident = memory_mib(operator.process)
        if must is None:
            print(f"memory {what}: {private:.2f} MiB private, {resident:.1f} MiB resident", flush=True)
        else:
            self.report.row(f"memory {what}", private, must, "MiB", kuberay, f"{resident:.0f} MiB resident")
        return private

    # ---- many systems, no pods ----

    def systems(self):
        count = self.arguments.systems
        with ApiServer(arguments=SERVER) as server:
            install_crds(server)
            audit = Audit(server)
            with self.operator(server, "one") as one:
                wait_for("the operator is ready", one.is_ready, 30)
                time.sleep(SETTLE_S)
                idle = self.memory(one, "idle", 12, "9.6")
                self.foreign(server, one, idle)
                create_all(server, SYSTEMS, (manifest(f"bench{number}", 0) for number in range(count)))
                self.wait_quiet(audit)
                self.memory(one, f"with {count} systems without pods")
                cpu = cpu_seconds(one.process)
                time.sleep(self.arguments.idle)
                self.report.row(f"writes in {self.arguments.idle} idle seconds with {count} systems", len(audit.writes()), 0, "", "0",
                                f"CPU {cpu_seconds(one.process) - cpu:.2f} s")
                self.hand_over(server, audit, one, count)

    def foreign(self, server, operator, idle):
        server.client().create("/api/v1/namespaces", {"metadata": {"name": "foreign"}})
        create_all(server, "/api/v1/namespaces/foreign/pods", (foreign_pod(number) for number in range(FOREIGN_PODS)))
        time.sleep(SETTLE_S)
        added = (memory_mib(operator.process)[0] - idle) * 2 ** 20 / FOREIGN_PODS
        self.report.row(f"memory that {FOREIGN_PODS} foreign pods add (nothing is kept of a pod in less than {NOTHING_BYTES} bytes)",
                        added, NOTHING_BYTES, "bytes a pod", "13,000")

    @staticmethod
    def wait_quiet(audit):
        """The last status writes of a start are seconds apart."""
        while audit.writes():
            time.sleep(8)

    def hand_over(self, server, audit, one, count, pods=0):
        """With pods on kwok's machines a new leader has something to write after a while: that nobody answers there."""
        what = f"hand-over by clean exit, {count} systems{f' with {pods} pods' if pods else ''}"
        with self.operator(server, "two") as two:
            wait_for("the other replica has its caches", two.is_ready, 60)
            time.sleep(2)
            audit.rows()
            began = time.time()
            one.stop(60)
            wait_for("all are taken over", lambda: len(two.lines("system taken over")) >= count, 300, 0.5)
            time.sleep(20)
            writes = audit.writes()
            fences = [at(row["requestReceivedTimestamp"]) - began for row in writes if row["requestURI"].startswith(FENCES)]
            self.report.row(f"{what}, to the first command", min(fences), 1, "s", more=f"all in {max(fences):.1f} s")
            if not pods:
                self.report.row("other writes at it than the raised terms", len(writes) - len(fences), 0, "")

    # ---- many pods ----

    def pods(self):
        with ApiServer(arguments=SERVER, controllers=True, kwok_arguments=[f"--config={BENCH}/kwok_pods.yaml"]) as server:
            install_crds(server)
            server.add_nodes(max(1, -(-max(self.sizes) // PODS_A_MACHINE)))
            audit = Audit(server)
            with self.operator(server, "one") as one:
                wait_for("the operator is ready", one.is_ready, 30)
                present = 0
                for size in self.sizes:
                    self.grow(server, audit, one, present, size)
                    present = size
                    must = {1000: (14, "57"), 5000: (20, "242"), 10000: (32, "")}.get(size, (None, ""))
                    time.sleep(SETTLE_S)
                    self.memory(one, f"with {size} pods", *must)
                    self.replace(server, audit, size)
                    self.scale(server, audit)
                self.hand_over(server, audit, one, -(-present // PODS_A_SYSTEM), present)
            self.cold_start(server, present)

    def grow(self, server, audit, operator, present, size):
        audit.rows()
        cpu, started = cpu_seconds(operator.process), time.monotonic()
        for first in range(present, size, PODS_A_SYSTEM):
            server.client().create(SYSTEMS, manifest(f"bench{first}", min(PODS_A_SYSTEM, size - first)))
        client = server.client()
        wait_for(f"{size} pods are there", lambda: operator.metric('histrio_cached_objects{resource="pods"}') >= size, 900, 0.25)
        wait_for("all run", lambda: not client.items(f"{PODS}?{OURS}&fieldSelector=status.phase!%3DRunning&limit=1"), 900, 0.25)
        seconds = time.monotonic() - started
        time.sleep(5)
        cpu = cpu_seconds(operator.process) - cpu
        writes = audit.writes()
        what = f"{size - present} pods beside {present} created and running"
        if size - present == CREATED_PODS:
            self.report.row(what, seconds, 60, "s", "88")
            self.report.row("operator CPU for that", cpu, 4, "s", "26")
        else:
            print(f"{what}: {seconds:.1f} s, operator CPU {cpu:.2f} s", flush=True)
        self.report.row("writes a pod at creation", len(writes) / (size - present), 2, "", "2.4")

    def replace(self, server, audit, size):
        """By the API server's own clock: from its answer to a delete until the operator's POST arrives."""
        client = server.client()
        names = sorted(pod["metadata"]["name"] for pod in client.items(f"{PODS}?{OURS}&limit=500"))
        rows = []
        audit.rows()
        for name in names[:self.arguments.changes]:
            client.delete(f"{PODS}/{name}", {"gracePeriodSeconds": 0})
            wait_for("another pod is made", lambda: self.has_created(audit, rows), 30)
            time.sleep(0.1)
        took_ms, deleted = [], None
        for row in rows:
            if row["verb"] == "delete" and row["requestURI"].startswith(PODS) and row.get("userAgent") == "histrio-test":
                deleted = at(row["stageTimestamp"])
            elif deleted and is_write(row) and row["verb"] == "create" and row["requestURI"].startswith(PODS):
                took_ms.append((at(row["requestReceivedTimestamp"]) - deleted) * 1000)
                deleted = None
        what = f"pod deleted -> replacement created, with {size} pods"
        self.report.row(f"{what}, p50", statistics.median(took_ms), 20, "ms", "28")
        self.report.row(f"{what}, p99 of {len(took_ms)}", percentile(took_ms, 0.99), 40, "ms", "49", f"worst {max(took_ms):.0f}")

    @staticmethod
    def has_created(audit, rows):
        new = audit.rows()
        rows += new
        return any(is_write(row) and row["verb"] == "create" and row["requestURI"].startswith(PODS) for row in new)

    def scale(self, server, audit):
        """A user's change to the operator's first write for it."""
        client = server.client()
        took_ms = []
        for number in range(self.arguments.changes):
            audit.rows()
            client.merge(f"{SYSTEMS}/bench0", {"spec": {"nodes": {"replicas": PODS_A_SYSTEM - 1 + number % 2}}})
            rows = []
            wait_for("a write", lambda: rows.extend(audit.rows()) or any(is_write(row) for row in rows), 30)
            changed = next(at(row["stageTimestamp"]) for row in rows if row.get("userAgent") == "histrio-test" and row["verb"] == "patch")
            took_ms.append((next(at(row["requestReceivedTimestamp"]) for row in rows if is_write(row)) - changed) * 1000)
            time.sleep(1)
        print(f"change of a manifest -> first write: p50 {statistics.median(took_ms):.1f} ms, p99 {percentile(took_ms, 0.99):.1f} ms "
              f"of {len(took_ms)}", flush=True)

    def cold_start(self, server, count):
        started = time.monotonic()
        with self.operator(server, "three") as operator:
            wait_for("the operator is ready", operator.is_ready, 60)
            self.report.row(f"cold start to synced, {count} pods", time.monotonic() - started, 3, "s")
            time.sleep(SETTLE_S)
            self.memory(operator, f"after a cold start with {count} pods")


def main():
    parser = argparse.ArgumentParser(prog="./dev bench operator")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--pods", default="1000,5000,10000", help="sizes that are reached one after the other")
    parser.add_argument("--systems", type=int, default=1000)
    parser.add_argument("--changes", type=int, default=50)
    parser.add_argument("--idle", type=int, default=60)
    parser.add_argument("--only", choices=("systems", "pods"))
    arguments = parser.parse_args()
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], stdout=subprocess.PIPE, text=True, check=False).stdout
    print(f"commit {commit.strip()}, {os.cpu_count()} cores", flush=True)
    bench = Bench(arguments)
    if arguments.only != "pods":
        bench.systems()
    if arguments.only != "systems":
        bench.pods()
    return bench.report.end()


if __name__ == "__main__":
    sys.exit(main())
