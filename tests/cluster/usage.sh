#!/usr/bin/env bash
# usage.sh [SECONDS=30]: CPU and memory of each part of the cluster that is up.
. "$(dirname "$0")/lib.sh"
seconds=${1:-30}
parts=(control-plane)
for node in $(node_list); do parts+=("node$node"); done
declare -A before
for part in "${parts[@]}"; do before[$part]=$(cgroup_cpu_us "$part"); done
sleep "$seconds"
for part in "${parts[@]}"; do
    echo "$part: $((($(cgroup_cpu_us "$part") - ${before[$part]}) / (seconds * 1000))) milli-CPU, $(cgroup_memory_mib "$part") MiB"
done
