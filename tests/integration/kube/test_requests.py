#!/usr/bin/env python3
"""lib/kube against a real API server: what each verb does, HTTP/2 under load and GOAWAY, a server that is away or silent,
tokens that change."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
from api_server import ApiServer  # noqa: E402

PROGRAM = os.path.join(os.environ.get("HISTRIO_TEST_BUILD", os.path.join(ROOT, "build/dev")), "bin/kube_requests")


def start(server, *arguments, **environment):
    environment = dict(os.environ, KUBECONFIG=server.kubeconfig(), **environment)
    return subprocess.Popen([PROGRAM, *arguments], env=environment, stdout=subprocess.PIPE, text=True)


def write_token(folder, token):
    """As the kubelet does: whole or not at all."""
    path = os.path.join(folder, "token")
    with open(path + ".new", "w") as file:
        file.write(token + "\n")
    os.rename(path + ".new", path)


class Requests(unittest.TestCase):
    def test_verbs(self):
        with ApiServer() as server, start(server, "verbs") as program:
            self.assertEqual(program.wait(120), 0)

    def check_many(self, server, connections_max):
        with start(server, "many", "3") as program:
            counts = json.loads(program.stdout.read())
        print(counts, file=sys.stderr)
        self.assertGreater(counts["reads"], 100)
        self.assertEqual((counts["failed_reads"], counts["surprises"]), (0, 0))
        self.assertLessEqual(counts["connections"], connections_max)
        return counts

    def test_many(self):
        """Four threads share one connection; with GOAWAY at random no read fails, and few writes."""
        with ApiServer() as server:
            counts = self.check_many(server, connections_max=1)
            self.assertEqual(counts["failed_writes"], 0)
        with ApiServer(arguments=["--goaway-chance=0.02"]) as server:
            counts = self.check_many(server, connections_max=16)
            self.assertLessEqual(counts["failed_writes"], counts["writes"] / 10)

    def test_watches(self):
        """Six watches and four writers on one connection: each watch sees each write, and soon."""
        with ApiServer() as server, start(server, "watches", "3") as program:
            counts = json.loads(program.stdout.read())
        print(counts, file=sys.stderr)
        self.assertGreater(counts["writes"], 20)
        self.assertEqual(counts["failed_writes"], 0)
        self.assertEqual(counts["seen"], [counts["writes"]] * 6)
        self.assertLess(counts["latest_ms"], 5000)

    def test_account(self):
        """As in a pod: when a token is refused, the one that the kubelet has written meanwhile is used, long before its
        minute is over."""
        rule = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}
        with ApiServer() as server, tempfile.TemporaryDirectory() as folder:
            token = server.service_account("default", "probe", cluster_rules=[rule])
            shutil.copy(server.ca_file, os.path.join(folder, "ca.crt"))
            write_token(folder, token)
            environment = {"HISTRIO_TEST_ACCOUNT": folder, "KUBERNETES_SERVICE_HOST": "127.0.0.1",
                           "KUBERNETES_SERVICE_PORT": str(server.port)}
            with start(server, "probe", "100", **environment) as program:
                self.probe_until(program, 5, "fine")
                accounts = "/api/v1/namespaces/default/serviceaccounts"
                server.client().delete(f"{accounts}/probe")
                self.probe_until(program, 2, "denied")
                server.client().create(accounts, {"metadata": {"name": "probe"}})
                write_token(folder, server.mint_token("default", "probe"))
                self.assertLessEqual(self.probe_until(program, 5, "fine"), {"denied", "timeout"})  # a server that is busy
                program.kill()

    def probe_until(self, program, count, *wanted):
        """Lines until `count` in a row are among `wanted`; what came before."""
        lines = []
        deadline = time.monotonic() + 30
        while len(lines) < count or not set(lines[-count:]) <= set(wanted):
            self.assertLess(time.monotonic(), deadline, lines[-20:])
            line = program.stdout.readline().strip()
            self.assertTrue(line, "the program ended")
            lines.append(line)
        return set(lines[:-count])

    def test_away(self):
        with ApiServer() as server, start(server, "probe", "100") as program:
            self.probe_until(program, 5, "fine")
            server.stop_server()
            self.probe_until(program, 5, "unavailable")
            server.start_server()
            between = self.probe_until(program, 5, "fine")
            # denied: not ready to judge rights yet; timeout: busy with its start
            self.assertLessEqual(between, {"unavailable", "denied", "timeout", "fine"})
            program.kill()

    def test_silent(self):
        """A stopped process keeps its connections: requests end by their time, later ones try a new connection, and it
        goes on when the server does."""
        with ApiServer() as server, start(server, "probe", "100") as program:
            self.probe_until(program, 5, "fine")
            process = server.daemons["kube-apiserver"].process
            process.send_signal(signal.SIGSTOP)
            try:
                between = self.probe_until(program, 4, "timeout", "unavailable")
                self.assertLessEqual(between, {"fine"})
            finally:
                process.send_signal(signal.SIGCONT)
            self.probe_until(program, 5, "fine")
            program.kill()


if __name__ == "__main__":
    unittest.main()
