"""Actors on two real nodes, with a real link between them."""

import json
import os
import subprocess
import sys
import time

import pytest

MIB = 1 << 20
PATIENCE = 60
ASKS = 400
SYSTEM = {
    "apiVersion": "histrio.dev/v1alpha1", "kind": "ActorSystem", "metadata": {"name": "far"},
    "spec": {
        "nodes": {"replicas": 2}, "code": {"python": {"path": [os.path.dirname(os.path.abspath(__file__))]}},
        "actors": [{"name": name, "behavior": {"python": behavior}, "placement": {"pin": {"index": index}}}
                   for name, behavior, index in (("near", "far_actors:Near", "0"), ("early", "far_actors:Early", "0"), ("arrays", "arrays:Arrays", "1"),
                                                 ("counter", "actors:Counter", "1"), ("patient", "far_actors:Patient", "1"),
                                                 ("near-patient", "far_actors:Patient", "0"))]}}


@pytest.fixture(scope="module")
def histrio_program(tmp_path_factory):
    """function(arguments of the program histrio) -> the finished process; its `begin` does not wait for the end."""
    folder = tmp_path_factory.mktemp("far")
    program = os.path.join(os.path.dirname(os.environ["HISTRIO_NODE"]), "histrio")
    environ = {**os.environ, "HISTRIO_PYTHON": sys.executable, "HISTRIO_RUN_DIR": str(folder / "run"),
               "HISTRIO_STATE_DIR": str(folder / "state"), "PYTHONPATH": os.pathsep.join(sys.path)}

    def run(*arguments):
        return subprocess.run([program, *arguments], env=environ, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=4 * PATIENCE, check=False)

    run.begin = lambda *arguments: subprocess.Popen([program, *arguments], env=environ, stdin=subprocess.DEVNULL)
    (folder / "far.json").write_text(json.dumps(SYSTEM))
    try:
        started = run("run", "--detach", str(folder / "far.json"))
        assert started.returncode == 0, started.stderr
        yield run
    finally:
        run("stop", "far")


@pytest.fixture
def ask(histrio_program):
    def ask(method, *arguments, actor="near"):
        done = histrio_program("ask", f"far/{actor}", method, json.dumps(list(arguments)), "--timeout", f"{PATIENCE}s")
        if done.returncode:
            raise AssertionError(done.stderr)
        return json.loads(done.stdout)

    return ask


def test_the_actors_are_apart(histrio_program):
    rows = json.loads(histrio_program("get", "actors", "far", "-o", "json").stdout)["items"]
    nodes = {row["path"]: row["node"] for row in rows}
    assert nodes["arrays"] == nodes["counter"] != nodes["near"]


@pytest.mark.parametrize("size", [MIB // 2, MIB, 2 * MIB, 4 * MIB - 4096])
def test_large_data_over_a_link(ask, size):
    """There is no descriptor for it there: the node sends the bytes, and they are written into all the same."""
    assert ask("there_and_back", size) == [size, 1, size / 8 - 1, True, 0]
    assert ask("keep_there", size) == [size, 7, 7]


def test_large_pickles_over_a_link(ask):
    assert ask("pickle_there", 3 * MIB)


def test_too_large_for_a_link(ask):
    with pytest.raises(AssertionError, match="BadArgument"):
        ask("there_and_back", 5 * MIB)
    assert ask("there_and_back", MIB)[0] == MIB, "the link goes on"


@pytest.mark.parametrize("method, arguments, what", [("cancel", (), "a call"), ("time_out", (), "a brief one"), ("leave", ("fail",), "fail"),
                                                     ("leave", ("die",), "die")])
def test_an_ask_that_nobody_waits_for_is_cancelled_over_a_link(ask, method, arguments, what):
    assert ask(method, *arguments, actor="early")[-2:] == [what, f"{what} is cancelled"]


def test_a_client_that_goes(histrio_program, ask):
    """Its ask was forwarded: by the node of its gateway, or by the other one."""
    for actor in ("patient", "near-patient"):
        client = histrio_program.begin("ask", f"far/{actor}", "wait", '["a client"]', "--timeout", "1h")
        try:
            assert ask("until", actor, "a client", actor="early")[-1] == "a client"
        finally:
            client.kill()
            client.wait()
        assert ask("until", actor, "a client is cancelled", actor="early")[-1] == "a client is cancelled"


def switches(pid, thread):
    """How often a thread of a process slept and was woken."""
    for number in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{number}/status") as file:
            status = dict(line.split(":", 1) for line in file)
        if status["Name"].strip() == thread:
            return int(status["voluntary_ctxt_switches"])
    raise AssertionError(f"no thread {thread}")


def test_messages_do_not_wake_the_thread_of_the_lease(histrio_program, ask):
    """gRPC left to itself lets whichever loop polls take what came for another."""
    pids = [row["pid"] for row in json.loads(histrio_program("get", "nodes", "far", "-o", "json").stdout)["items"]]
    ask("count", 10)
    before, started = [[switches(pid, thread) for pid in pids] for thread in ("control", "link")], time.monotonic()
    assert ask("count", ASKS) == ASKS
    seconds = time.monotonic() - started
    control, link = [[switches(pid, thread) - was for pid, was in zip(pids, counts)] for thread, counts in zip(("control", "link"), before)]
    assert min(link) >= ASKS, "it is the one that is woken"
    assert max(control) < ASKS / 4 + 50 * seconds, "heartbeats and the like are all that wakes the other"
