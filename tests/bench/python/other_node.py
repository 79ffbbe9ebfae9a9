"""An ask to an actor on another node: a system of two nodes, as `histrio run` starts them, an actor on the first that asks one on
the second. Beside it the pipe by hand, whose other end is a process of this machine."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
MANIFEST = {
    "apiVersion": "histrio.dev/v1alpha1", "kind": "ActorSystem", "metadata": {"name": "bench"},
    "spec": {
        "nodes": {"replicas": 2}, "code": {"python": {"path": [HERE], "workers": 1}},
        "actors": [{"name": name, "behavior": {"python": f"other_node_work:{kind}"}, "placement": {"pin": {"index": index}}}
                   for name, kind, index in (("caller", "Caller", "0"), ("asked", "Asked", "1"))]}}


@contextlib.contextmanager
def two_nodes():
    """function(arguments of the program histrio) -> what it printed."""
    folder = tempfile.mkdtemp(prefix="hb-", dir="/tmp")  # short: sockets are in it
    program = os.path.join(os.path.dirname(os.environ["HISTRIO_NODE"]), "histrio")
    environ = {**os.environ, "HISTRIO_PYTHON": sys.executable, "HISTRIO_RUN_DIR": os.path.join(folder, "run"),
               "HISTRIO_STATE_DIR": os.path.join(folder, "state")}

    def histrio(*arguments):
        return subprocess.run([program, *arguments], env=environ, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
                              timeout=120, check=True).stdout

    manifest = os.path.join(folder, "bench.json")
    with open(manifest, "w", encoding="utf-8") as file:
        json.dump(MANIFEST, file)
    try:
        histrio("run", "--detach", manifest)
        yield histrio
    finally:
        histrio("stop", "bench")  # it may run, and not be ready
        shutil.rmtree(folder)


def ours(system, warm_up, count):
    with two_nodes() as histrio:
        nodes = {row["path"]: row["node"] for row in json.loads(histrio("get", "actors", "bench", "-o", "json"))["items"]}
        if nodes["caller"] == nodes["asked"]:
            raise AssertionError("both are on one node")
        return json.loads(histrio("ask", "bench/caller", "one_by_one", json.dumps([warm_up, count]), "--timeout", "60s"))


def pipe(system, warm_up, count):
    actor = system.start(1)[0]
    try:
        system.one_by_one(actor, "echo", (1,), warm_up)
        return system.one_by_one(actor, "echo", (1,), count)
    finally:
        system.stop()


PLAYS = {"histrio": ours, "mp.Pipe": pipe}
