#!/usr/bin/env bash
# part.sh stop|start NAME: a part of the control plane (apiserver, etcd, controller-manager, scheduler, coredns) is killed, or
# started again as it was.
. "$(dirname "$0")/lib.sh"
[ $# = 2 ] && [ -f "$RUN/$2.command" ] || die "usage: part.sh stop|start apiserver|etcd|controller-manager|scheduler|coredns"
is_gone() { ! kill -0 "$(cat "$RUN/$1.pid")" 2>/dev/null; }
case $1 in
stop)
    kill -KILL "$(cat "$RUN/$2.pid")" 2>/dev/null || true
    wait_for 30 is_gone "$2" || die "$2 does not end"
    ;;
start)
    is_gone "$2" || die "$2 runs"
    eval "daemon $2 $(cat "$RUN/$2.command")"
    [ "$2" != apiserver ] || wait_for 60 admin get --raw /readyz || die "the API server is not ready: see $RUN/log"
    ;;
*) die "no verb \"$1\"" ;;
esac
