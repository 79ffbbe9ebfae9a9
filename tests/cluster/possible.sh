#!/usr/bin/env bash
# Can this machine make a cluster? If not: exit 1, and one line on what it lacks.
[ "$(uname -s)" = Linux ] || { echo "a cluster needs Linux, this is $(uname -s)" && exit 1; }
[ "$(id -u)" = 0 ] || { echo "a cluster needs root (namespaces, cgroups, mounts)" && exit 1; }
grep -qs 'VERSION_CODENAME=bookworm' /etc/os-release || { echo "a cluster needs Debian 12 (its images and packages)" && exit 1; }
unshare --mount --uts --pid --net --cgroup --fork true 2>/dev/null || { echo "a cluster needs CAP_SYS_ADMIN (namespaces)" && exit 1; }
. "$(dirname "$0")/lib.sh"
[ -n "$(cgroup_mounts)" ] || { echo "a cluster needs cgroups in /sys/fs/cgroup" && exit 1; }
for mount in $(cgroup_mounts); do
    mkdir "$mount/histrio-probe-$$" 2>/dev/null || { echo "a cluster needs cgroups it may write: $mount is read-only" && exit 1; }
    rmdir "$mount/histrio-probe-$$"
done
