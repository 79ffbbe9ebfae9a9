#!/usr/bin/env bash
# uml.sh COMMAND...: runs COMMAND on a machine of its own, whose cgroups are purely version 2: a User Mode Linux, a kernel that is a
# process (Debian's package user-mode-linux). It has this machine's files, with a tmpfs above them: what it writes is gone afterwards.
# It has one processor and no way out; system calls and page faults are slow there (30 and 150 us), the rest is as fast as here.
. "$(dirname "$0")/lib.sh"
[ $# -ge 1 ] || die "usage: uml.sh COMMAND..."
command -v linux.uml >/dev/null || die "run apt-get install --no-install-recommends user-mode-linux first"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
{
    printf 'export PATIENCE=5 CLUSTER_DIR=%q\ncd %q\n' "$CLUSTER_DIR" "$PWD"
    printf '%q ' "$@"
} >"$folder/command"
taskset -c "$(($(nproc) - 1))" linux.uml mem=6G root=/dev/root rootfstype=hostfs rootflags=/ ro loglevel=1 con=null con0=null,fd:1 uml_dir="$folder" \
    init="$HERE/uml_init.sh" FOLDER="$folder" CLUSTER_DIR="$CLUSTER_DIR" </dev/null
exit "$(cat "$folder/code" 2>/dev/null || echo 1)"
