#!/usr/bin/env bash
# All tests in stages, each timed; the last line counts them: "N passed, N failed". Exit 1 when one failed.
# usage: tests/run.sh [--long] [--cluster KUBECONFIG] [STAGE...]     stages: lint dev python asan tsan clang fuzz kube cluster
# --cluster: the stage cluster alone, on a cluster that is there (tests/e2e/README.md) instead of one made on this machine.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fuzz_seconds=10
long_seeds=0
own_cluster=""
admin_kubeconfig=${CLUSTER_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/histrio-cluster}/admin.kubeconfig
while :; do
    case ${1:-} in
    --long)
        fuzz_seconds=600
        long_seeds=100000
        ;;
    --cluster)
        own_cluster=$(realpath -e "${2:-}") || { echo "no kubeconfig \"${2:-}\"" >&2 && exit 2; }
        shift
        ;;
    *) break ;;
    esac
    shift
done
[ -z "$own_cluster" ] || set -- cluster
[ $# -gt 0 ] || set -- lint dev python asan tsan clang fuzz kube cluster

# Not those that have ended and that init has not reaped yet.
ours() { ps -eo stat=,pid=,comm=,args= | awk '$1 !~ /^Z/ && $3 ~ /^(histrio|unit_|node_test|sim_|erl|beam)/ { $1 = ""; print }' | sort; }
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

# Each binary of ctest counts as a test; suites whose processes need the machine run one at a time.
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

# The Python package; each of its tests counts.
python_suite() {
    local log
    log=$(mktemp)
    tests/python.sh 2>&1 | tee "$log"
    local code=${PIPESTATUS[0]}
    local bad
    bad=$(awk '/^[0-9].* in [0-9.]+s/ { for (i = 2; i <= NF; i++) if ($i ~ /^(failed|errors?)/) sum += $(i - 1) } END { print sum + 0 }' "$log")
    passed=$((passed + $(awk '/^[0-9].* in [0-9.]+s/ { for (i = 2; i <= NF; i++) if ($i ~ /^passed/) sum += $(i - 1) } END { print sum + 0 }' "$log")))
    failed=$((failed + bad))
    rm -f "$log"
    [ "$code" = 0 ] || [ "$bad" != 0 ] || count "suite python" "$code"
}

# The programs of Kubernetes take minutes to build without a cache, so they are built beside the first stages. How that ended is in
# a file: a shell forgets a child whose number another one gets, and there are more processes in a run than numbers.
builder="" builder_files=""
start_builder() {
    builder_files=$(mktemp -d)
    (
        nice -n 19 tests/cluster/build.sh >"$builder_files/log" 2>&1 &
        trap 'kill $!; exit' TERM
        wait $!
        echo $? >"$builder_files/code.new"
        mv "$builder_files/code.new" "$builder_files/code"
    ) &
    builder=$!
}
builder_code=""
has_cluster_programs() {
    if [ -z "$builder_code" ]; then
        until [ -f "$builder_files/code" ] || ! kill -0 "$builder" 2>/dev/null; do sleep 0.2; done
        builder_code=$(cat "$builder_files/code" || echo 1)
        builder=""
        [ "$builder_code" = 0 ] && grep 'cluster: built' "$builder_files/log" || cat "$builder_files/log"
        count "build of Kubernetes" "$builder_code"
    fi
    return "$builder_code"
}
at_exit() {
    [ -z "$builder" ] || [ -f "$builder_files/code" ] || kill "$builder" 2>/dev/null
    [ -z "$builder_files" ] || rm -rf "$builder_files"
    [ -z "$cluster_is_up" ] || tests/cluster/down.sh
}
cluster_is_up=""
trap at_exit EXIT

# A cluster on this machine for the end-to-end tests, or a line on why there can be none: a failure only where CI runs.
cluster() {
    local reason code
    if [ -n "$own_cluster" ]; then
        build dev && KUBECONFIG=$own_cluster suite dev '^cluster$' 1
        return
    fi
    if ! reason=$(tests/cluster/possible.sh); then
        echo "not run: the stage cluster: $reason"
        [ -z "${CI:-}" ] || count "stage cluster: $reason" 1
        return
    fi
    has_cluster_programs && build dev || return
    cluster_is_up=yes
    ./dev setup cluster && tests/cluster/up.sh 3 && deploy/images.sh
    code=$?
    [ "$long_seeds" = 0 ] || deploy/images.sh --from-source from-source || code=1
    count "a cluster with our images" $code
    [ $code != 0 ] || KUBECONFIG=$admin_kubeconfig HISTRIO_TEST_BED=1 suite dev '^(cluster|bed)$' 1
    tests/cluster/down.sh
    cluster_is_up=""
    tests/cluster/left.sh
    count "nothing is left of the cluster" $?
}

stage() {
    case $1 in
    lint)
        tools/lint.sh
        count lint $?
        ;;
    dev) build dev && suite dev '^(unit|sim|conformance)$' 2 && suite dev '^integration$' 1 ;;
    python) build dev && python_suite && suite dev '^(examples|tutorial)$' 2 ;;
    asan) build asan && suite asan '^unit$' 2 && suite asan '^integration$' 1 ;;
    tsan) build tsan && suite tsan '^unit$' 2 ;;
    clang) build clang ;;
    kube) has_cluster_programs && build dev && suite dev '^kube$' 3 ;; # they wait most of their time
    cluster) cluster ;;
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

case " $* " in *" kube "* | *" cluster "*) [ -n "$own_cluster" ] || start_builder ;; esac
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
