#!/usr/bin/env bash
# tests/fuzz/run.sh [SECONDS]: builds all fuzz targets and runs each for so long (default 10), beginning with its corpus.
# New inputs go to build/fuzz/corpus; a crash leaves its input in build/fuzz/crashes, to be fixed and kept in the corpus.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-10}
build=${HISTRIO_FUZZ_BUILD:-build/fuzz}
cmake --preset fuzz -B "$build" >/dev/null
cmake --build "$build" --target fuzz_all
mkdir -p "$build/crashes"
while read -r target; do
    [ -n "$target" ] || continue
    mkdir -p "$build/corpus/$target" "tests/fuzz/corpus/$target"
    echo "$target, $seconds s"
    if ! ASAN_OPTIONS=detect_leaks=1 "$build/bin/$target" -max_total_time="$seconds" -max_len=65536 -timeout=10 \
        -rss_limit_mb=1024 -artifact_prefix="$build/crashes/$target-" \
        "$build/corpus/$target" "tests/fuzz/corpus/$target" >"$build/$target.log" 2>&1; then
        tail -50 "$build/$target.log"
        exit 1
    fi
done <"$build/fuzz_targets.txt"
echo "no crash"
