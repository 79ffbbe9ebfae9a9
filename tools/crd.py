"""The custom resource definitions of charts/histrio-crds as trees, for the tools and tests that read them."""

import os

import yaml

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(TOP, "charts/histrio-crds/templates")


def load(plural):
    """A definition without its template language, which stands in lines of its own."""
    with open(os.path.join(FOLDER, f"{plural}.yaml")) as file:
        return yaml.safe_load("".join(line for line in file if not line.startswith("{{")))


def schema(plural):
    """The schema of its one version."""
    return load(plural)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
