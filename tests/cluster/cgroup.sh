# Each part of the cluster lives in one cgroup, histrio/NAME, in every hierarchy of the machine: whatever it started can be
# found there, measured and killed. Version 1 (also beside an empty version 2 tree) and pure version 2.

cgroup_mounts() { awk '$3 == "cgroup" || $3 == "cgroup2" {print $2}' /proc/mounts; }
cgroup_is_pure_v2() { [ -f /sys/fs/cgroup/cgroup.controllers ]; }

# A version 2 cgroup has processes or children with controllers, not both. On a whole machine the root is free of that rule;
# in a container our root is not the machine's, so what runs there moves to a leaf first (cgroup_restore undoes it).
cgroup_prepare() {
    local root=/sys/fs/cgroup controller
    cgroup_is_pure_v2 || return 0
    if [ -f "$root/cgroup.type" ] && [ -n "$(cat "$root/cgroup.procs")" ]; then
        mkdir -p "$root/histrio-leaf"
        cgroup_move "$root" "$root/histrio-leaf"
    fi
    cgroup_enable "$root"
    for controller in cpu memory pids; do
        grep -qw "$controller" "$root/cgroup.subtree_control" ||
            die "cgroup v2 has no controller \"$controller\" for us in $root: a container needs it delegated"
    done
    mkdir -p "$root/histrio"
    cgroup_enable "$root/histrio"
}

cgroup_restore() {
    local root=/sys/fs/cgroup controller
    [ -d "$root/histrio-leaf" ] || return 0
    for controller in $(cat "$root/cgroup.subtree_control"); do echo "-$controller" >"$root/cgroup.subtree_control"; done
    cgroup_move "$root/histrio-leaf" "$root"
    rmdir "$root/histrio-leaf"
}

# cgroup_move FROM TO: all processes; new ones may be born meanwhile.
cgroup_move() {
    local pid
    for _ in $(seq 100); do
        [ -n "$(cat "$1/cgroup.procs")" ] || return 0
        while read -r pid; do echo "$pid" 2>/dev/null >"$2/cgroup.procs" || true; done <"$1/cgroup.procs"
    done
    die "processes stay in $1"
}

cgroup_enable() { # FOLDER
    local controller
    for controller in $(cat "$1/cgroup.controllers"); do
        echo "+$controller" 2>/dev/null >"$1/cgroup.subtree_control" || true # some cannot be enabled everywhere
    done
}

cgroup_make() { # NAME
    local mount folder setting
    for mount in $(cgroup_mounts); do
        for folder in "$mount/histrio" "$mount/histrio/$1"; do
            [ ! -d "$folder" ] || continue
            mkdir "$folder"
            cgroup_is_pure_v2 || [ ! -f "$folder/cpuset.cpus" ] ||
                for setting in cpus mems; do cat "$folder/../cpuset.$setting" >"$folder/cpuset.$setting"; done
        done
    done
}

# The calling (sub)shell moves into histrio/NAME.
cgroup_enter() {
    local mount
    for mount in $(cgroup_mounts); do echo "$BASHPID" >"$mount/histrio/$1/cgroup.procs"; done
}

# A node is the root of a cgroup namespace. With version 2 its processes belong into a leaf of it: called outside, after they
# have entered the namespace; node_init.sh waits for cgroup_node_is_ready.
cgroup_node_leaf() { # NAME
    local folder=/sys/fs/cgroup/histrio/$1
    cgroup_is_pure_v2 || return 0
    mkdir -p "$folder/init"
    cgroup_move "$folder" "$folder/init"
    cgroup_enable "$folder"
}
cgroup_node_is_ready() { ! cgroup_is_pure_v2 || { grep -qx '0::/init' /proc/self/cgroup && [ -n "$(cat /sys/fs/cgroup/cgroup.subtree_control)" ]; }; }

# Of histrio/NAME and all below; without NAME, of histrio.
cgroup_pids() {
    local root=/sys/fs/cgroup/pids
    [ -d "$root" ] || root=/sys/fs/cgroup
    [ -d "$root/histrio${1:+/$1}" ] || return 0
    find "$root/histrio${1:+/$1}" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -nu
}

# Kills every process there, and removes the cgroup: a process that is still ending is in no list, and keeps it.
cgroup_kill() {
    local mount folder pids left
    for _ in $(seq 300); do
        pids=$(cgroup_pids "${1:-}")
        # shellcheck disable=SC2086 # a list of words
        [ -z "$pids" ] || kill -KILL $pids 2>/dev/null || true # some have ended; what stays is seen below
        left=""
        for mount in $(cgroup_mounts); do
            folder=$mount/histrio${1:+/$1}
            [ -d "$folder" ] || continue
            find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || true
            [ ! -d "$folder" ] || left=yes
        done
        [ -n "$left" ] || return 0
        sleep 0.1
    done
    echo "cgroup histrio${1:+/$1} does not go away; processes: $(cgroup_pids "${1:-}" | tr '\n' ' ')" >&2
}

cgroup_cpu_us() { # NAME
    if cgroup_is_pure_v2; then
        awk '$1 == "usage_usec" {print $2}' "/sys/fs/cgroup/histrio/$1/cpu.stat"
    else
        echo $(($(cat "/sys/fs/cgroup/cpuacct/histrio/$1/cpuacct.usage") / 1000))
    fi
}
cgroup_memory_mib() { # NAME; anonymous memory
    local file=/sys/fs/cgroup/memory/histrio/$1/memory.stat
    [ -f "$file" ] || file=/sys/fs/cgroup/histrio/$1/memory.stat
    awk '$1 == "total_rss" || $1 == "anon" {print int($2 / 1048576)}' "$file"
}
