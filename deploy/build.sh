#!/bin/sh
# The build stage of the images: what the programs are made of goes in, the parts of the images come out in a folder.
# usage: build.sh OUT node|operator     with staged/ in the context (deploy/images.sh puts it there): that is the result, nothing is built
set -eu
cd "$(dirname "$0")/.."
if [ -d staged ]; then
    mv "staged/$2" "$1"
    exit 0
fi
apt-get update -q
# shellcheck disable=SC2046 # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $(cat tools/packages/build.txt)
cmake --preset release
deploy/stage.sh build/release "$1" "$2"
