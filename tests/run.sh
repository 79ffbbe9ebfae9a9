#!/usr/bin/env bash
# All tests in stages, each timed; the last line counts them: "N passed, N failed". Exit 1 when one failed.
# usage: tests/run.sh [--long] [STAGE...]     stages: lint dev asan tsan clang fuzz
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fuzz_seconds=10
long_seeds=0
if [ "${1:-}" = --long ]; then
    shift
    fuzz_seconds=600
    long_seeds=100000
fi
[ $# -gt 0 ] || set -- lint dev asan tsan clang fuzz

ours() { ps -eo pid=,comm=,args= | awk '$2 ~ /^(histrio|unit_|node_test|sim_|erl|beam)/' | sort; }
before=$(ours)

passed=0
failed=0
count() { # name, exit code
    if [ "$2" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $1"
    fi
}

build() { # preset
    local folder=build/$1 strict=OFF
    # Sanitizers make compilers see paths that are not there: their warnings are for dev and clang to judge.
    case $1 in dev | clang) strict=ON ;; esac
    cmake --preset "$1" -DHISTRIO_WERROR=$strict >/dev/null && cmake --build "$folder" -- --quiet
    local code=$?
    count "build of preset $1" $code
    return $code
}

# Each binary of ctest counts as a test; suites that start processes run one at a time.
suite() { # preset, labels, jobs
    local log
    log=$(mktemp)
    ctest --test-dir "build/$1" -L "$2" -j "$3" --output-on-failure --no-tests=error 2>&1 | tee "$log"
    local total bad
    bad=$(sed -n 's/.*tests passed, \([0-9]*\) tests failed out of \([0-9]*\).*/\1/p' "$log")
    total=$(sed -n 's/.*tests passed, \([0-9]*\) tests failed out of \([0-9]*\).*/\2/p' "$log")
    rm -f "$log"
    if [ -z "$total" ]; then
        count "suite $2 of preset $1" 1
    else
        passed=$((passed + total - bad))
        failed=$((failed + bad))
    fi
}

stage() {
    case $1 in
    lint)
        tools/lint.sh
        count lint $?
        ;;
    dev) build dev && suite dev '^(unit|sim|conformance)$' 2 && suite dev '^integration$' 1 ;;
    asan) build asan && suite asan '^unit$' 2 && suite asan '^integration$' 1 ;;
    tsan) build tsan && suite tsan '^unit$' 2 ;;
    clang) build clang ;;
    fuzz)
        build fuzz && tests/fuzz/run.sh "$fuzz_seconds"
        count fuzz $?
        ;;
    *)
        echo "no stage \"$1\"" >&2
        exit 2
        ;;
    esac
}

# Beyond the 1,000 seeds of the stage dev.
long_simulation() {
    build/dev/bin/sim_core "$long_seeds" 1001
    count "sim_core, $long_seeds seeds" $?
    build/dev/bin/sim_runtime "$long_seeds" 1001
    count "sim_runtime, $long_seeds seeds" $?
}

for name in "$@"; do
    echo "=== $name"
    started=$SECONDS
    stage "$name"
    [ "$long_seeds$name" != 100000dev ] || long_simulation
    echo "=== $name: $((SECONDS - started)) s"
done

left=$(comm -13 <(echo "$before") <(ours))
[ -z "$left" ] || echo "these processes are left: $left"
[ -z "$left" ]
count "no process left" $?
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
