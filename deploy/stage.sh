#!/bin/sh
# The parts of an image from a build folder: stripped programs, and the Debian packages of the libraries they are linked with; for nodes the
# Python package too, with what it needs.
# usage: stage.sh BUILD-FOLDER OUT node|operator
set -eu
build=$1 out=$2
[ "$3" = node ] && programs="histrio-node histrio-host" modules=python_core || programs="histrio-operator histrio" modules=""

library_packages() { # PROGRAM
    readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | while read -r library; do
        path=$(ldd "$1" | awk -v library="$library" '$1 == library {print $3}')
        [ -n "$path" ] || continue # the loader
        # dpkg knows some files by /lib and some by /usr/lib, which are one folder.
        { dpkg-query -S "$path" "/usr$path" "${path#/usr}" 2>/dev/null || true; } | cut -d: -f1 | grep . ||
            { echo "stage.sh: no package has $path, which $1 needs" >&2 && exit 1; }
    done
}

# shellcheck disable=SC2086 # a list of words
cmake --build "$build" --target $programs $modules
mkdir -p "$out/bin"
for program in $programs; do
    strip -o "$out/bin/$program" "$build/bin/$program"
    library_packages "$build/bin/$program"
done >"$out/packages"
[ -s "$out/packages" ]
if [ "$3" = node ]; then
    mkdir -p "$out/python"
    cp -r "$(dirname "$0")/../python/histrio" "$out/python/"
    strip --strip-unneeded -o "$out/python/histrio/_core.abi3.so" "$build/lib/_core.abi3.so"
    find "$out/python" -name __pycache__ -prune -exec rm -r {} +
    printf '%s\n' python3 python3-msgpack >>"$out/packages"
fi
