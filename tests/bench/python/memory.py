"""Memory of this process and of all its descendants."""

import os


def family():
    """This process and its descendants, by /proc."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    parent = int(file.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(name))
    found, waiting = [], [os.getpid()]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def pss_of_each():
    """KiB by process id, shared pages divided by those who share them."""
    found = {}
    for pid in family():
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                found[pid] = next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
    return found


def pss_of_family():
    return sum(pss_of_each().values())
