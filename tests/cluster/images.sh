#!/usr/bin/env bash
# The images that a cluster needs, with no registry: pause, the Debian base image (kept in buildah's storage too, so that
# FROM debian:bookworm-slim works), and busybox for tests. Made again when this file or what it uses changes.
. "$(dirname "$0")/lib.sh"
DEBIAN=docker.io/library/debian:bookworm-slim
key=$(cat "$HERE"/{images.sh,build_image.sh,images/pause.c} | sha256sum | cut -c1-16)
mkdir -p "$IMAGES"
exec 9>"$CLUSTER_DIR/images.lock"
flock 9
if [ "$(cat "$IMAGES/key" 2>/dev/null)" = "$key" ]; then
    buildah inspect --type image "$DEBIAN" >/dev/null 2>&1 || buildah pull -q "docker-archive:$IMAGES/debian.tar" >/dev/null
    exit 0
fi
started=$SECONDS
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

pause() {
    local context=$folder/pause
    mkdir "$context"
    gcc -Os -static -s -o "$context/pause" "$HERE/images/pause.c"
    printf 'FROM scratch\nCOPY pause /pause\nUSER 65535:65535\nENTRYPOINT ["/pause"]\n' >"$context/Dockerfile"
    "$HERE/build_image.sh" "$context" localhost/pause:1 "$IMAGES/pause.tar"
}

busybox() {
    local context=$folder/busybox applet
    mkdir -p "$context"/root/{bin,etc,tmp}
    chmod 1777 "$context/root/tmp"
    cp /bin/busybox "$context/root/bin/"
    for applet in $(/bin/busybox --list | grep -vx busybox); do ln -sf busybox "$context/root/bin/$applet"; done
    echo 'root:x:0:0::/:/bin/sh' >"$context/root/etc/passwd"
    printf 'FROM scratch\nCOPY root/ /\nENV PATH=/bin\nCMD ["sh"]\n' >"$context/Dockerfile"
    "$HERE/build_image.sh" "$context" docker.io/library/busybox:1.35 "$IMAGES/busybox.tar"
}

apt_mirror() {
    awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/*.sources 2>/dev/null | grep . ||
        awk '$1 == "deb" {for (i = 2; i < NF; i++) if ($i ~ /^https?:/) {print $i; exit}}' /etc/apt/sources.list
}

debian() {
    local root=$folder/debian container
    debootstrap --variant=minbase bookworm "$root" "$(apt_mirror)" >"$folder/debootstrap.log" 2>&1 ||
        die "debootstrap: $(tail -20 "$folder/debootstrap.log")"
    # What the official slim image leaves out, and what belongs to this machine.
    rm -rf "$root"/var/{cache/apt,lib/apt/lists,log}/* "$root"/usr/share/{doc,man,locale,info,lintian}/*
    rm -f "$root"/etc/{hostname,resolv.conf,apt/sources.list}
    container=$(buildah from scratch)
    buildah add -q "$container" "$root" / >/dev/null
    buildah config --cmd bash --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
    buildah commit -q --rm "$container" "$DEBIAN" >/dev/null
    rm -f "$IMAGES/debian.tar"
    buildah push -q "$DEBIAN" "docker-archive:$IMAGES/debian.tar:$DEBIAN"
}

rm -f "$IMAGES/key"
pause
busybox
debian
echo "$key" >"$IMAGES/key"
log "images in $((SECONDS - started)) s"
