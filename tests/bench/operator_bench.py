#!/usr/bin/env python3
"""What the operator costs: memory, writes, reaction and cold start, against a real API server with kwok's machines.

    ./dev bench operator [--pods 1000] [--systems 1000] [--kills 50] [--idle 60]

Pods on kwok's machines run at once and run nothing: no Control stream comes about, so what is measured is the Kubernetes half
of the operator. Peer figures in docs/performance.md are KubeRay's, as published with the targets; it is not run here.
"""

import argparse
import datetime
import os
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
from api_server import ApiServer  # noqa: E402
from histrio_operator import PODS, SYSTEMS, Operator, install_crds  # noqa: E402

PODS_A_SYSTEM = 500
PODS_A_MACHINE = 200
OURS = "labelSelector=app.kubernetes.io%2Fmanaged-by%3Dhistrio-operator"


def manifest(name, replicas):
    return {"apiVersion": "histrio.dev/v1alpha1", "kind": "ActorSystem", "metadata": {"name": name},
            "spec": {"nodes": {"replicas": replicas, "image": "none:1"},
                     "code": {"c": [{"library": "bank", "path": "libbank.so"}]},
                     "actors": [{"name": "ledger", "behavior": {"c": "bank.ledger"}}]}}


def wait_for(what, condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"not in {seconds} s: {what}")
        time.sleep(0.02)


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


def our_writes(server):
    return [row for row in server.audit()
            if row["verb"] in ("create", "update", "patch", "delete") and row["stage"] == "ResponseComplete"
            and row.get("userAgent", "").startswith("histrio-operator") and "/leases" not in row["requestURI"]]


def running_pods(client):
    return sum(pod["status"].get("phase") == "Running" for pod in client.items(f"{PODS}?{OURS}"))


def at(timestamp):
    return datetime.datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()


def percentile(samples, share):
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.program = os.path.join(arguments.build, "bin/histrio-operator")

    def operator(self, server):
        return Operator(server.kubeconfig(), program=self.program)

    def show_memory(self, operator, what):
        private, resident = memory_mib(operator.process)
        print(f"memory {what}: {private:.1f} MiB private, {resident:.1f} MiB resident", flush=True)

    def pods(self):
        """Memory, creation, replacement and cold start with many pods."""
        count = self.arguments.pods
        with ApiServer(controllers=True) as server:
            install_crds(server)
            server.add_nodes(max(1, -(-count // PODS_A_MACHINE)))
            client = server.client()
            with self.operator(server) as operator:
                wait_for("the operator is ready", operator.is_ready, 30)
                self.show_memory(operator, "idle")
                before_cpu, started = cpu_seconds(operator.process), time.monotonic()
                for number in range(-(-count // PODS_A_SYSTEM)):
                    client.create(SYSTEMS, manifest(f"bench{number}", min(PODS_A_SYSTEM, count - number * PODS_A_SYSTEM)))
                wait_for(f"{count} pods run", lambda: running_pods(client) >= count, 600)
                print(f"{count} pods created and running: {time.monotonic() - started:.1f} s, "
                      f"operator CPU {cpu_seconds(operator.process) - before_cpu:.1f} s", flush=True)
                writes = [row for row in our_writes(server) if row["responseStatus"]["code"] < 400]
                print(f"writes a pod at creation: {len(writes) / count:.2f}", flush=True)
                self.show_memory(operator, f"with {count} pods")
                self.replace(server)
            self.cold_start(server, count)

    def replace(self, server):
        """By the API server's own clock: from its answer to a delete until the operator's POST arrives."""
        client = server.client()
        for _ in range(self.arguments.kills):
            names = {pod["metadata"]["name"] for pod in client.items(f"{PODS}?{OURS}")}
            client.delete(f"{PODS}/{min(names)}", {"gracePeriodSeconds": 0})
            wait_for("another pod is there", lambda: any(
                pod["metadata"]["name"] not in names for pod in client.items(f"{PODS}?{OURS}")), 30)
        took_ms, deleted = [], None
        for row in server.audit():
            if row["verb"] == "delete" and "/pods/" in row["requestURI"] and row["user"]["username"] == "admin":
                deleted = at(row["stageTimestamp"])
            elif deleted and row["verb"] == "create" and row["requestURI"].split("?")[0] == PODS:
                took_ms.append((at(row["requestReceivedTimestamp"]) - deleted) * 1000)
                deleted = None
        print(f"pod deleted -> replacement created: p50 {statistics.median(took_ms):.1f} ms, "
              f"p99 {percentile(took_ms, 0.99):.1f} ms of {len(took_ms)}", flush=True)

    def cold_start(self, server, count):
        started = time.monotonic()
        with self.operator(server) as operator:
            wait_for("the operator is ready", operator.is_ready, 60)
            print(f"cold start to ready with {count} pods: {time.monotonic() - started:.2f} s", flush=True)
            self.show_memory(operator, f"after a cold start with {count} pods")

    def idle(self):
        """Writes while nothing changes, with many systems that have no pods."""
        count = self.arguments.systems
        with ApiServer(arguments=["--service-cluster-ip-range=10.96.0.0/16"]) as server:
            install_crds(server)
            client = server.client()
            with self.operator(server) as operator:
                for number in range(count):
                    client.create(SYSTEMS, manifest(f"bench{number}", 0))
                seen = -1
                while len(our_writes(server)) != seen:  # the last status writes of a start are a second apart
                    seen = len(our_writes(server))
                    time.sleep(5)
                self.show_memory(operator, f"with {count} systems without pods")
                before_cpu = cpu_seconds(operator.process)
                time.sleep(self.arguments.idle)
                print(f"writes in {self.arguments.idle} idle seconds with {count} systems: {len(our_writes(server)) - seen} "
                      f"(CPU {cpu_seconds(operator.process) - before_cpu:.2f} s)", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench operator")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--systems", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--idle", type=int, default=60)
    arguments = parser.parse_args()
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], stdout=subprocess.PIPE, text=True, check=False).stdout
    print(f"commit {commit.strip()}, {os.cpu_count()} cores", flush=True)
    bench = Bench(arguments)
    bench.pods()
    bench.idle()


if __name__ == "__main__":
    main()
