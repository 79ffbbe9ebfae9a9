#!/usr/bin/env python3
"""The charts by Helm alone: what they render, what values they refuse, and that what is generated is current."""

import glob
import os
import re
import subprocess
import sys
import unittest

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TOP, "tools"), os.path.join(TOP, "tests/support")]

from api_server import BIN  # noqa: E402
import crd  # noqa: E402

HELM = os.path.join(BIN, "helm")
CHART = os.path.join(TOP, "charts/histrio")
CRDS = os.path.join(TOP, "charts/histrio-crds")
DIGEST = "sha256:" + "a" * 64


def helm(*arguments):
    result = subprocess.run([HELM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    return result.returncode, result.stdout, result.stderr


def template(*settings, chart=CHART, values=None):
    """The objects by (kind, name)."""
    arguments = ["template", "h", chart, "--namespace", "ops", "--kube-version", "1.34.0"]
    for setting in settings:
        arguments += ["--set", setting]
    if values is not None:
        arguments += ["--values", "/dev/stdin"]
    result = subprocess.run([HELM, *arguments], input=yaml.safe_dump(values), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, check=False)
    if result.returncode != 0:
        raise AssertionError(result.stderr)
    found = [document for document in yaml.load_all(result.stdout, Loader=StrictLoader) if document]
    objects = {(document["kind"], document["metadata"]["name"]): document for document in found}
    assert len(objects) == len(found), "two objects of one kind and name"
    return objects


def load(*parts):
    with open(os.path.join(*parts)) as file:
        return yaml.safe_load(file)


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that is there twice, as API servers do."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key) for key, _ in node.value]
        if len(keys) != len(set(keys)):
            raise AssertionError(f"a key is there twice, line {node.start_mark.line}: {keys}")
        return super().construct_mapping(node, deep)


def rules_of(role):
    return {(group, resource): set(rule["verbs"]) for rule in role["rules"] for group in rule["apiGroups"] for resource in rule["resources"]}


class Charts(unittest.TestCase):
    def test_lint(self):
        for chart in (CHART, CRDS):
            code, out, err = helm("lint", "--strict", chart, "--kube-version", "1.34.0")
            self.assertEqual(code, 0, out + err)

    def test_all_namespaces(self):
        objects = template()
        self.assertEqual(rules_of(objects["ClusterRole", "h-histrio"])["", "nodes"], {"get", "list", "watch"})
        self.assertIn(("ClusterRoleBinding", "h-histrio"), objects)
        self.assertIn(("Role", "h-histrio-leader"), objects)
        self.assertNotIn(("Role", "h-histrio"), objects)
        arguments = objects["Deployment", "h-histrio"]["spec"]["template"]["spec"]["containers"][0]["args"]
        self.assertFalse([argument for argument in arguments if argument.startswith("--namespace")])
        self.assertEqual({name for kind, name in objects if kind == "CustomResourceDefinition"},
                         {"actorsystems.histrio.dev", "actorplacements.histrio.dev", "actorfences.histrio.dev"})

    def test_one_namespace_needs_nothing_of_the_cluster(self):
        objects = template("watchNamespace=team", "rbac.userRoles.create=false", "crds.enabled=false")
        kinds = {kind for kind, _ in objects}
        self.assertFalse([kind for kind in kinds if kind.startswith("Cluster") or kind == "CustomResourceDefinition"])
        self.assertEqual(objects["Role", "h-histrio"]["metadata"]["namespace"], "team")
        self.assertEqual(objects["RoleBinding", "h-histrio"]["metadata"]["namespace"], "team")
        self.assertNotIn(("", "nodes"), rules_of(objects["Role", "h-histrio"]))
        # The election stays where the operator is.
        self.assertEqual(objects["Role", "h-histrio-leader"]["metadata"]["namespace"], "ops")
        arguments = objects["Deployment", "h-histrio"]["spec"]["template"]["spec"]["containers"][0]["args"]
        self.assertIn("--namespace=team", arguments)
        self.assertEqual(objects["ActorSystem", "h-histrio-test"]["metadata"]["namespace"], "team")

    def test_rights_are_least(self):
        for settings in ((), ("watchNamespace=team",)):
            for (kind, name), role in template(*settings).items():
                if kind not in ("Role", "ClusterRole"):
                    continue
                for (group, resource), verbs in rules_of(role).items():
                    text = f"{kind} {name}: {group}/{resource} {verbs}"
                    self.assertNotIn("*", {group, resource, *verbs}, text)
                    self.assertFalse(verbs & {"escalate", "bind", "impersonate", "deletecollection"}, text)
                    if resource == "secrets":
                        self.assertFalse(verbs & {"list", "watch"}, text)

    def test_people_get_view_and_not_edit(self):
        objects = template()
        labels = objects["ClusterRole", "h-histrio-view"]["metadata"]["labels"]
        self.assertEqual(labels["rbac.authorization.k8s.io/aggregate-to-view"], "true")
        for verbs in rules_of(objects["ClusterRole", "h-histrio-view"]).values():
            self.assertEqual(verbs, {"get", "list", "watch"})
        edit = [label for label in objects["ClusterRole", "h-histrio-edit"]["metadata"]["labels"] if "aggregate" in label]
        self.assertEqual(edit, [])
        edit = template("rbac.userRoles.aggregateToEdit=true")["ClusterRole", "h-histrio-edit"]["metadata"]["labels"]
        self.assertEqual(edit["rbac.authorization.k8s.io/aggregate-to-edit"], "true")

    def test_images(self):
        def image(*settings):
            return template(*settings)["Deployment", "h-histrio"]["spec"]["template"]["spec"]["containers"][0]["image"]
        self.assertEqual(image(), "histrio-operator:0.1.0")
        self.assertEqual(image("global.imageRegistry=g.example"), "g.example/histrio-operator:0.1.0")
        self.assertEqual(image("global.imageRegistry=g.example", "image.registry=own.example/x", "image.tag=v2"),
                         "own.example/x/histrio-operator:v2")
        self.assertEqual(image(f"image.digest={DIGEST}", "image.tag=v2"), f"histrio-operator@{DIGEST}")

        def test_image(*settings):
            return template(*settings)["ActorSystem", "h-histrio-test"]["spec"]["nodes"]["image"]
        self.assertEqual(test_image("global.imageRegistry=g.example", "image.tag=v2"), "g.example/histrio-bank:v2")
        self.assertEqual(test_image("tests.image=other"), "other")

    def test_switches(self):
        plain = template()
        for kind in ("ServiceMonitor", "NetworkPolicy"):
            self.assertFalse([key for key in plain if key[0] == kind])
        full = template("metrics.serviceMonitor.enabled=true", "networkPolicy.enabled=true", "metrics.service=false")
        self.assertIn(("ServiceMonitor", "h-histrio"), full)
        self.assertIn(("Service", "h-histrio-metrics"), full)  # what it looks at
        self.assertIn(("NetworkPolicy", "h-histrio"), full)
        one = template("replicas=1", "metrics.service=false", "serviceAccount.create=false", "serviceAccount.name=mine", "rbac.create=false")
        self.assertFalse([key for key in one if key[0] in ("PodDisruptionBudget", "ServiceAccount", "Service", "Role")])
        self.assertEqual(one["Deployment", "h-histrio"]["spec"]["template"]["spec"]["serviceAccountName"], "mine")

    def test_names_labels_and_selectors_agree(self):
        objects = template("commonLabels.team=x", "networkPolicy.enabled=true", "metrics.serviceMonitor.enabled=true")
        pod = objects["Deployment", "h-histrio"]["spec"]["template"]["metadata"]["labels"]
        self.assertEqual(pod["team"], "x")
        selectors = [objects["Deployment", "h-histrio"]["spec"]["selector"]["matchLabels"],
                     objects["PodDisruptionBudget", "h-histrio"]["spec"]["selector"]["matchLabels"],
                     objects["NetworkPolicy", "h-histrio"]["spec"]["podSelector"]["matchLabels"],
                     objects["Service", "h-histrio-metrics"]["spec"]["selector"]]
        for selector in selectors:
            self.assertLessEqual(selector.items(), pod.items())
            self.assertFalse(selector.items() <= objects["Pod", "h-histrio-test-client"]["metadata"]["labels"].items())
            self.assertNotIn("app.kubernetes.io/version", selector)  # or no upgrade would be possible

    def test_extra_objects_are_templates(self):
        values = {"extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-extra"}}]}
        self.assertIn(("ConfigMap", "h-extra"), template(values=values))

    def test_wrong_values_are_refused(self):
        for setting, expected in (("replica=2", "replica"), ("replicas=0", "replicas"), ("replicas=two", "replicas"),
                                  ("logLevel=verbose", "logLevel"), ("image.digest=sha256:1", "digest"),
                                  ("image.pullPolicy=Sometimes", "pullPolicy"), ("crds.keep=true", "keep"),
                                  ("watchNamespace=Team_A", "watchNamespace"), ("networkPolicy.apiServerPorts={0}", "apiServerPorts"),
                                  ("rbac.userRoles.aggregateToAll=true", "aggregateToAll"), ("tests.image=null,tests.tag=x", "tag")):
            code, _, err = helm("template", "h", CHART, "--kube-version", "1.34.0", "--set", setting)
            self.assertNotEqual(code, 0, setting)
            self.assertIn(expected, err, setting)
        code, _, err = helm("template", "h", CHART, "--kube-version", "1.28.0")
        self.assertNotEqual(code, 0)
        self.assertIn("kubeVersion", err)

    def test_definitions_are_kept_and_the_same_in_both_charts(self):
        ours = {key: value for key, value in template().items() if key[0] == "CustomResourceDefinition"}
        theirs = template(chart=CRDS)
        self.assertEqual(ours, theirs)
        for definition in ours.values():
            self.assertEqual(definition["metadata"]["annotations"]["helm.sh/resource-policy"], "keep")
        self.assertEqual(template("crds.enabled=false", chart=CRDS), {})

    def test_versions_agree(self):
        charts = [load(folder, "Chart.yaml") for folder in (CHART, CRDS)]
        with open(os.path.join(TOP, "CMakeLists.txt")) as file:
            self.assertIn(f"VERSION {charts[0]['appVersion']} ", file.read())
        self.assertEqual(charts[0]["version"], charts[1]["version"])
        self.assertEqual(charts[0]["appVersion"], charts[1]["appVersion"])

    def test_values_are_documented(self):
        values = load(CHART, "values.yaml")
        with open(os.path.join(CHART, "README.md")) as file:
            text = file.read()
        for name in values:
            self.assertIn(f"`{name}", text)

    def test_what_is_generated_is_current(self):
        for command in (["tools/manifest_reference.py", "--check"], ["tools/plain_manifests.sh", "--check"]):
            result = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            self.assertEqual(result.returncode, 0, result.stdout)

    def test_what_the_documentation_promises_has_a_test(self):
        with open(os.path.join(TOP, "docs/kubernetes.md")) as file:
            table = file.read().split("## Client")[1]
        named = {name for line in table.splitlines() if line.startswith("|") for name in re.findall(r"`(\w+)`", line.split("|")[3])}
        self.assertGreater(len(named), 30)
        text = ""
        for folder in ("unit/kube", "unit/kube_watch", "unit/api", "unit/controllers", "integration", "charts"):
            for path in glob.glob(os.path.join(TOP, "tests", folder, "**"), recursive=True):
                if path.endswith((".c", ".py")):
                    with open(path) as file:
                        text += file.read()
        missing = [name for name in sorted(named) if not re.search(rf"(void|def) {name}\(", text)]
        self.assertEqual(missing, [])


class Schemas(unittest.TestCase):
    """Rules for every definition that no API server insists on."""

    def walk(self, node, path):
        yield path, node
        for name, field in node.get("properties", {}).items():
            yield from self.walk(field, f"{path}.{name}")
        for key in ("items", "additionalProperties"):
            if isinstance(node.get(key), dict):
                yield from self.walk(node[key], f"{path}.{key}")

    def fields(self):
        for plural in ("actorsystems", "actorplacements", "actorfences"):
            for path, node in self.walk(crd.schema(plural), plural):
                if not path.endswith(("apiVersion", "kind", ".metadata")):
                    yield path, node

    def test_every_field_is_described(self):
        for path, node in self.fields():
            self.assertTrue(node.get("description", "").endswith((".", "...")), path)

    def test_everything_has_a_limit(self):
        for path, node in self.fields():
            if node.get("type") == "string":
                self.assertTrue({"maxLength", "enum", "format"} & set(node), path)
            if node.get("type") == "array":
                self.assertIn("maxItems", node, path)
                self.assertIn("x-kubernetes-list-type", node, path)
            if "additionalProperties" in node:
                self.assertIn("maxProperties", node, path)
            if node.get("type") == "integer" and ".spec." in path:
                self.assertTrue({"minimum", "maximum"} <= set(node), path)

    def test_an_entry_and_a_child_share_their_fields(self):
        entry = crd.schema("actorsystems")["properties"]["spec"]["properties"]["actors"]["items"]["properties"]
        child = entry["children"]["items"]["properties"]
        for name in ("behavior", "restart", "args", "shutdown", "isolation", "mailbox", "supervisor"):
            self.assertEqual(entry[name], child[name], name)

    def test_enumerations_are_in_pascal_case(self):
        for path, node in self.fields():
            for value in node.get("enum", []):
                self.assertRegex(value, "^[A-Z][A-Za-z]+$", path)


if __name__ == "__main__":
    unittest.main(verbosity=2)
