#!/usr/bin/env bash
# What is left of a cluster after down.sh; nothing, with exit code 0, when all is gone.
. "$(dirname "$0")/lib.sh"
shopt -s inherit_errexit # a command that fails must not look like nothing left
left=$(
    ip netns list | awk '/^histrio-node/'
    ip -o link show | awk '$2 ~ /^(hnode[0-9]+|histrio0)[@:]/ {print $2}'
    awk -v run="$RUN" 'index($0, run)' /proc/mounts
    for mount in $(cgroup_mounts); do find "$mount" -maxdepth 1 -name 'histrio*'; done
    if [ -e "$RUN" ]; then echo "$RUN"; fi
)
[ -z "$left" ] || { echo "$left" && exit 1; }
