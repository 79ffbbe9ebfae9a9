"""What a package costs before it does anything: the time of its import, and its size with all that it needs."""

import importlib.metadata
import os
import statistics
import subprocess
import sys

MODULES = {"histrio": "histrio", "Pykka": "pykka", "Dask": "distributed", "Ray": "ray", "xoscar": "xoscar", "Thespian": "thespian.actors"}
TIMES = 7
IMPORT = "import sys, time; started = time.perf_counter(); import {}; sys.stdout.write(str(time.perf_counter() - started))"


def import_ms(module):
    """Median of new interpreters; the first, which reads from the disk and may compile, does not count."""
    seconds = []
    for _ in range(1 + TIMES):
        told = subprocess.run([sys.executable, "-P", "-c", IMPORT.format(module)], stdout=subprocess.PIPE, text=True, check=True).stdout
        seconds.append(float(told))
    return statistics.median(seconds[1:]) * 1000


def needed(name, found):
    """The distributions that come along with that one, by pip's own reading of what they need."""
    from pip._vendor.packaging.requirements import Requirement
    from pip._vendor.packaging.utils import canonicalize_name

    distribution = importlib.metadata.distribution(name)
    if canonicalize_name(name) in found:
        return found
    found[canonicalize_name(name)] = distribution
    for line in distribution.requires or []:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            needed(requirement.name, found)
    return found


def size_mib(module):
    files = [file.locate() for distribution in needed(module.split(".")[0], {}).values() for file in distribution.files or []]
    return sum(os.path.getsize(file) for file in files if os.path.exists(file)) / 2**20
