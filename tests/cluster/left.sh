#!/usr/bin/env bash
# What is left of a cluster after down.sh; nothing, with exit code 0, when all is gone.
. "$(dirname "$0")/lib.sh"
left=$(
    ip netns list | grep '^histrio-node' || true
    ip -o link show | grep -oE ' (hnode[0-9]+|histrio0)[@:]' || true
    grep "$RUN" /proc/mounts || true
    for mount in $(cgroup_mounts); do find "$mount" -maxdepth 1 -name 'histrio*'; done
    [ ! -e "$RUN" ] || echo "$RUN"
)
[ -z "$left" ] || { echo "$left" && exit 1; }
