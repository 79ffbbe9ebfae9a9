"""A real `histrio run` in folders of its own, for integration tests: standard library only."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("HISTRIO_TEST_BUILD", os.path.join(ROOT, "build", "dev")))
# Sanitizers and loaded machines: more patience, never more sleep.
SLOW = 5 if os.environ.get("HISTRIO_TEST_SLOW") else 1


def wait_until(what, condition, seconds=30, pause=0.01):
    """Until condition() is true, which is returned; fails naming `what` (a text, or a function that gives one) after `seconds`."""
    deadline = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not in {seconds * SLOW} s: {what() if callable(what) else what}")
        time.sleep(pause)


class Result:
    """What one call of the CLI brought."""

    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    @property
    def json(self):
        return json.loads(self.out)


class HistrioTest(unittest.TestCase):
    """Folders, environment and the CLI; after each test nothing may be left."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hi-", dir="/tmp")
        self.environment = dict(
            os.environ,
            HISTRIO_RUN_DIR=os.path.join(self.folder, "run"),
            HISTRIO_STATE_DIR=os.path.join(self.folder, "state"),
            HISTRIO_TEST_MARK=self.folder,  # in each process that comes from this test
            # What a sanitizer finds ends a process as a crash does.
            ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":abort_on_error=1",
            UBSAN_OPTIONS=os.environ.get("UBSAN_OPTIONS", "") + ":abort_on_error=1",
        )
        self.runs = []
        self.addCleanup(self.clean_up)

    def clean_up(self):
        for run in self.runs:
            run.kill_if_alive()
        try:
            left = wait_until_gone(self.folder)
        finally:
            if self.has_failed():
                self.show_logs()
            shutil.rmtree(self.folder, ignore_errors=True)
        self.assertEqual(left, [], "processes are left")

    def has_failed(self):
        outcome = getattr(self, "_outcome", None)
        result = getattr(outcome, "result", None)
        bad = getattr(result, "failures", []) + getattr(result, "errors", []) if result else []
        return any(test is self for test, _ in bad)

    def show_logs(self):
        for folder, _, names in os.walk(os.path.join(self.folder, "run")):
            for name in names:
                if name.endswith((".log", ".txt")):
                    with open(os.path.join(folder, name), errors="replace") as file:
                        print(f"==== {name}\n" + "".join(file.readlines()[-30:]))

    # ---- the CLI ----

    def histrio(self, *arguments, timeout=60, environment=None):
        return Result(subprocess.run([os.path.join(BUILD, "bin/histrio"), *arguments], env=environment or self.environment,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout * SLOW,
                                     check=False, stdin=subprocess.DEVNULL))

    def ok(self, *arguments, **options):
        result = self.histrio(*arguments, **options)
        self.assertEqual(result.code, 0, f"histrio {' '.join(arguments)}: {result.err}{result.out}")
        return result

    def rows(self, kind, system="bank"):
        return self.ok("get", kind, system, "-o", "json").json["items"]

    def row(self, kind, member, name, system="bank"):
        for row in self.rows(kind, system):
            if row[member] == name:
                return row
        raise AssertionError(f"no {kind} {name}")

    def unit(self, name):
        return self.row("units", "unit", name)

    def actor(self, name):
        return self.row("actors", "path", name)

    def status(self, system="bank"):
        return self.ok("describe", system, "-o", "json").json

    def condition(self, kind, system="bank"):
        for condition in self.status(system)["conditions"]:
            if condition["type"] == kind:
                return condition
        raise AssertionError(f"no condition {kind}")

    def ask(self, actor, method, *arguments, timeout="5s"):
        return self.ok("ask", actor, method, *arguments, "--timeout", timeout).json

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    # ---- a run ----

    def bank(self, *arguments, manifest=None, ready=True):
        run = Run(self, manifest or os.path.join(ROOT, "examples/bank/bank.yaml"), arguments)
        self.runs.append(run)
        if ready:
            run.wait_ready()
        return run


class Run:
    """`histrio run` in the foreground, with its output in a file."""

    def __init__(self, test, manifest, arguments):
        self.test = test
        self.output_path = os.path.join(test.folder, f"output-{len(test.runs)}.txt")
        with open(self.output_path, "w") as output:
            self.process = subprocess.Popen([os.path.join(BUILD, "bin/histrio"), "run", manifest, *arguments],
                                            env=test.environment, stdout=output, stderr=subprocess.STDOUT,
                                            stdin=subprocess.DEVNULL)

    @property
    def output(self):
        with open(self.output_path, errors="replace") as file:
            return file.read()

    def wait_ready(self, system="bank"):
        def is_ready():
            if self.process.poll() is not None:
                raise AssertionError(f"the run ended with {self.process.returncode}: {self.output}")
            result = self.test.histrio("describe", system, "-o", "json")
            if result.code != 0:
                return False
            status = result.json
            return (status["units"]["running"] == status["units"]["desired"]
                    and status["nodes"]["ready"] == status["nodes"]["desired"]
                    and all(actor["incarnation"] > 0 for actor in status["actorStatuses"]))

        wait_until("the system is ready", is_ready, 20)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=20):
        return self.process.wait(seconds * SLOW)

    def kill_if_alive(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def marked(folder):
    """The processes that carry this test's mark."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if f"HISTRIO_TEST_MARK={folder}".encode() not in file.read().split(b"\0"):
                    continue
            with open(f"/proc/{name}/stat") as file:
                if re.search(r"\) [ZX] ", file.read()):
                    continue
        except OSError:
            continue
        found.append(int(name))
    return found


def wait_until_gone(folder):
    """Nodes of a killed run end by themselves; what does not is killed here and returned."""
    try:
        wait_until("no process is left", lambda: not marked(folder), 10)
    except AssertionError:
        left = []
        for pid in marked(folder):
            try:
                with open(f"/proc/{pid}/cmdline") as file:
                    left.append(f"{pid} {file.read()}")
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        return left
    return []
