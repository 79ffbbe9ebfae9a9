"""All systems by name."""

import ours
import pypi
import stdlib

SYSTEMS = {**ours.SYSTEMS, **stdlib.SYSTEMS, **pypi.SYSTEMS}


def find(name):
    return SYSTEMS[name]
