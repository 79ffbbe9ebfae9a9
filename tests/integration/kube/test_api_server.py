#!/usr/bin/env python3
"""The API server of the tests: several at once, users with few rights, away and back, nothing left; and with controllers."""

import os
import signal
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
from api_server import ApiServer, ServerError  # noqa: E402
from histrio_run import wait_until  # noqa: E402
from kube_client import ApiError  # noqa: E402

PODS = "/api/v1/namespaces/a/pods"


def pod(name, **metadata):
    return {"metadata": {"name": name, **metadata}, "spec": {"containers": [{"name": "main", "image": "none"}]}}


def processes_of(folder):
    """The programs of a server run in its folder."""
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.readlink(f"/proc/{name}/cwd").split(" ")[0] == folder:
                found.append(int(name))
        except OSError:
            pass
    return found


class Servers(unittest.TestCase):
    def test_two_at_once(self):
        with ApiServer() as first, ApiServer() as second:
            first.client().create("/api/v1/namespaces", {"metadata": {"name": "a"}})
            self.assertIsNotNone(first.client().find("/api/v1/namespaces/a"))
            self.assertIsNone(second.client().find("/api/v1/namespaces/a"))
            self.check_rights(first)
            self.check_away(first)
            folder = first.folder
            self.assertEqual(len(processes_of(folder)), 2)
        self.assertEqual(processes_of(folder), [])
        self.assertFalse(os.path.exists(folder))

    def check_rights(self, server):
        token = server.service_account("a", "reader", [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}])
        client = server.client(token)
        self.assertEqual(client.items(PODS), [])
        with self.assertRaises(ApiError) as refused:
            client.create(PODS, pod("one"))
        self.assertEqual((refused.exception.code, refused.exception.reason), (403, "Forbidden"))
        denied = [entry for entry in server.audit() if entry["responseStatus"]["code"] == 403]
        self.assertEqual([(entry["user"]["username"], entry["verb"]) for entry in denied],
                         [("system:serviceaccount:a:reader", "create")])
        self.assertIn("a   ", server.kubectl("get", "namespaces"))
        with self.assertRaises(ServerError):
            server.kubectl("get", "nothing")

    def check_away(self, server):
        server.client().create(PODS, pod("kept"))
        server.stop_server()
        with self.assertRaises(OSError):
            server.client().get(PODS)
        server.start_server()
        self.assertEqual([item["metadata"]["name"] for item in server.client().items(PODS)], ["kept"])

    def test_killed_test_leaves_no_process(self):
        code = "import api_server, time; s = api_server.ApiServer().start(); print(s.folder, flush=True); time.sleep(600)"
        with subprocess.Popen([sys.executable, "-c", code], cwd=os.path.join(ROOT, "tests/support"), stdout=subprocess.PIPE,
                              text=True) as process:
            folder = process.stdout.readline().strip()
            self.assertEqual(len(processes_of(folder)), 2)
            process.send_signal(signal.SIGKILL)
        wait_until("no process is left", lambda: not processes_of(folder))
        subprocess.run(["rm", "-r", folder], check=True)

    def test_controllers(self):
        with ApiServer(controllers=True) as server:
            client = server.client()
            server.add_nodes(2)
            client.create("/api/v1/namespaces", {"metadata": {"name": "a"}})
            wait_until("the namespace has its account", lambda: client.find("/api/v1/namespaces/a/serviceaccounts/default"), 60)
            owner = client.create("/api/v1/namespaces/a/configmaps", {"metadata": {"name": "owner"}})
            reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
            client.create(PODS, pod("one", ownerReferences=[reference]))
            wait_until("kwok runs the pod", lambda: client.get(f"{PODS}/one")["status"]["phase"] == "Running", 60)
            self.assertRegex(client.get(f"{PODS}/one")["spec"]["nodeName"], "^kwok-[01]$")
            client.delete("/api/v1/namespaces/a/configmaps/owner")
            wait_until("what it owned is collected", lambda: client.find(f"{PODS}/one") is None, 60)


if __name__ == "__main__":
    unittest.main(verbosity=2)
