#!/usr/bin/env bash
# build_image.sh CONTEXT-FOLDER NAME:TAG ARCHIVE [buildah bud options...]
# Builds a Dockerfile with no daemon and no registry, into a docker archive for load.sh. The machine's apt settings and
# certificates are mounted for the build only.
. "$(dirname "$0")/lib.sh"
[ $# -ge 3 ] || die "usage: build_image.sh CONTEXT-FOLDER NAME:TAG ARCHIVE [buildah bud options...]"
context=$1 name=$2 archive=$3
shift 3
mounts=()
for file in /etc/apt/{apt.conf.d,sources.list,sources.list.d,auth.conf.d}; do
    [ ! -e "$file" ] || mounts+=(-v "$file:$file:ro")
done
buildah bud -q --isolation chroot --network host --pull=never "${mounts[@]}" -t "$name" "$@" "$context" >/dev/null
rm -f "$archive"
buildah push -q "$name" "docker-archive:$archive:$name"
