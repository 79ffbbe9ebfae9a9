#!/usr/bin/env bash
# ./dev bench NAME [ARGUMENTS]: runs one benchmark of the release build. Numbers and what was learnt: docs/performance.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
name=${1:-}
[ $# = 0 ] || shift
case $name in
actor) exec python3 tests/bench/actor.py --build build/release "$@" ;;
remote) exec python3 tests/bench/remote.py --build build/release "$@" ;;
failover) exec python3 tests/bench/failover.py --build build/release "$@" ;;
python) exec python3 tests/bench/python/run.py "$@" ;;
operator)
    tests/cluster/build.sh
    exec python3 tests/bench/operator_bench.py --build build/release "$@"
    ;;
host) exec build/release/bin/host_bench --python "$(python3 tests/bench/python/environment.py)" "$@" ;;
rpc) exec build/release/bin/rpc_bench "$@" ;;
*)
    echo "usage: ./dev bench actor|remote|failover|operator|python|host|rpc [ARGUMENTS]" >&2
    exit 2
    ;;
esac
