#!/usr/bin/env python3
"""Runs the code blocks of a page of the documentation in a new folder, with the programs of the build, and compares what they print
with what the page shows (page.py says how a page is written).

usage: run_page.py [--cluster] [--update] PAGE...
--cluster runs pages with blocks for a cluster, others not at all; KUBECONFIG says which. --update writes what was printed into
the page where it differs, and the timings of now."""

import argparse
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]
from histrio_run import BUILD, ROOT, SLOW, wait_until_gone  # noqa: E402
from python_environment import environment  # noqa: E402
from page import Page, PageError, matches, refreshed  # noqa: E402

COMMAND_SECONDS = 60
EVENTUALLY_SECONDS = 30


class Shell:
    """One bash that all commands of a page share, as a reader's terminal is."""

    def __init__(self, folder, environment):
        self.mark = uuid.uuid4().hex
        self.folder = folder
        self.process = subprocess.Popen(["bash", "--norc", "--noprofile"], cwd=folder, env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def run(self, command):
        """(what it printed in lines, exit code)"""
        path = os.path.join(self.folder, f".command-{self.mark}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(command + "\n")
        self.process.stdin.write(f"source {path} </dev/null; printf '\\n{self.mark} %d\\n' $?\n".encode())
        self.process.stdin.flush()
        text = self.read_to_mark(command)
        printed, code = text.rsplit(f"\n{self.mark} ", 1)
        return printed.removesuffix("\n").split("\n") if printed else [], int(code)

    def read_to_mark(self, command):
        deadline = time.monotonic() + COMMAND_SECONDS * SLOW
        text = b""
        end = f"\n{self.mark} ".encode()
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not (end in text and text.endswith(b"\n")):
                if not selector.select(max(0, deadline - time.monotonic())):
                    raise PageError(f"not over in {COMMAND_SECONDS * SLOW} s: {command}\n{text.decode(errors='replace')}")
                more = os.read(self.process.stdout.fileno(), 65536)
                if not more:
                    raise PageError(f"this ended the shell: {command}\n{text.decode(errors='replace')}")
                text += more
        return text.decode(errors="replace")

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10 * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Run:
    """One page, once. `changes` are (first line, end, new lines) of outputs that differ, when they are to be written."""

    def __init__(self, page, update):
        self.page = page
        self.update = update
        self.changes = []
        self.folder = tempfile.mkdtemp(prefix="hi-", dir="/tmp")
        self.work = os.path.join(self.folder, page.name)
        os.mkdir(self.work)
        self.shell = Shell(self.work, self.environment())
        self.files = {}

    def environment(self):
        """A reader's, who has built Histrio, has its programs in PATH and the package installed."""
        home = os.path.join(self.folder, "home")
        os.mkdir(home)
        mine = {
            "HOME": home,
            "REPOSITORY": ROOT,
            "HISTRIO_RUN_DIR": os.path.join(self.folder, "run"),
            "HISTRIO_STATE_DIR": os.path.join(self.folder, "state"),
            "HISTRIO_TEST_MARK": self.folder,
        }
        mine = {**environment(BUILD), **mine}
        return {**mine, **self.cluster(home, mine["PATH"])} if is_for_cluster(self.page) else mine

    @staticmethod
    def cluster(home, path):
        """The programs of the cluster, kubectl-histrio, and a copy of its kubeconfig, which a page may change."""
        programs = os.path.join(home, "bin")
        os.mkdir(programs)
        os.symlink(os.path.join(BUILD, "bin", "histrio"), os.path.join(programs, "kubectl-histrio"))
        folder = os.environ.get("CLUSTER_DIR") or os.path.join(
            os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "histrio-cluster")
        mine = {"PATH": os.pathsep.join([programs, os.path.join(folder, "bin"), path])}
        if "KUBECONFIG" in os.environ:
            mine["KUBECONFIG"] = shutil.copy(os.environ["KUBECONFIG"], home)
        return mine

    def play(self):
        for block in self.page.blocks:
            try:
                self.block(block)
            except PageError as error:
                raise PageError(f"{self.page.path}:{block.line}: {error}") from None

    def block(self, block):
        if block.language == "console":
            self.console(block)
        elif block.file:
            self.write(block)
        elif block.excerpt:
            self.check_excerpt(block)
        else:
            raise PageError("a block is a file, an excerpt, or a console: nobody knows whether this one is true")

    def write(self, block):
        path = os.path.join(self.work, block.file)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(block.text)
        self.files[block.file] = block.text

    def check_excerpt(self, block):
        text = self.files.get(block.excerpt)
        if text is None:
            with open(os.path.join(ROOT, block.excerpt), encoding="utf-8") as file:
                text = file.read()
        if block.text not in text:
            raise PageError(f"these lines do not stand so in {block.excerpt}")

    def console(self, block):
        commands = block.commands()
        for number, command in enumerate(commands):
            must_fail = block.has("fails") and number == len(commands) - 1
            printed, code = self.command(block, command)
            if self.update and matches(command.expected, printed):
                self.changes.append((command.first, command.end, refreshed(command.expected, printed)))
            elif not matches(command.expected, printed):
                if not self.update:
                    raise PageError(f"$ {command.text}\n--- the page shows\n" + "\n".join(command.expected)
                                    + "\n--- it printed\n" + "\n".join(printed) + f"\n--- exit code {code}")
                self.changes.append((command.first, command.end, printed))
            if (code != 0) != must_fail:
                raise PageError(f"$ {command.text}\nexit code {code}\n" + "\n".join(printed))

    def command(self, block, command):
        deadline = time.monotonic() + (EVENTUALLY_SECONDS * SLOW if block.has("eventually") else 0)
        while True:
            printed, code = self.shell.run(command.text)
            if (matches(command.expected, printed) and code == 0) or time.monotonic() > deadline:
                return printed, code
            time.sleep(0.1)

    def close(self):
        """Ends what the page left running; returns what should not have been there."""
        self.shell.close()
        left = wait_until_gone(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        return left

    def write_changes(self):
        lines = list(self.page.lines)
        for first, end, printed in reversed(self.changes):
            lines[first:end] = printed
        with open(self.page.path, "w", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in lines))


def is_for_cluster(page):
    return any(block.has("cluster") for block in page.blocks)


def run_page(path, cluster=False, update=False):
    """Runs a page; PageError when it is not true. Returns False for a page that is for the other kind of run."""
    page = Page(path)
    if is_for_cluster(page) != cluster:
        return False
    run = Run(page, update)
    try:
        run.play()
    finally:
        left = run.close()
    if left:
        raise PageError(f"{path}: these processes were left and have been killed: {left}")
    if run.changes:
        run.write_changes()
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("pages", nargs="+", metavar="PAGE")
    options = parser.parse_args()
    failed = 0
    for path in options.pages:
        started = time.monotonic()
        try:
            outcome = "ok" if run_page(path, options.cluster, options.update) else "not for this run"
        except PageError as error:
            outcome = f"failed\n{error}"
            failed += 1
        print(f"{path}: {time.monotonic() - started:.1f} s, {outcome}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
