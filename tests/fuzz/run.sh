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
failed=0
while read -r target; do
    [ -n "$target" ] || continue
    mkdir -p "$build/corpus/$target" "tests/fuzz/corpus/$target"
    log=$build/$target.log
    if ASAN_OPTIONS=detect_leaks=1 "$build/bin/$target" -max_total_time="$seconds" -max_len=65536 -timeout=10 \
        -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$build/crashes/$target-" \
        "$build/corpus/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1; then
        echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, nothing found"
    else
        failed=$((failed + 1))
        tail -n 50 "$log"
        echo "$target: FAILED, replay with $build/bin/$target FILE"
    fi
done <"$build/fuzz_targets.txt"
[ "$failed" = 0 ]
