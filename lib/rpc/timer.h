/* rpc/timer.h: the timers of one loop, earliest first. Private to module rpc; on the loop's thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct rpc_timer;

/* The shape that base/vec.h wants. */
struct rpc_timers {
    struct rpc_timer **items;
    size_t count;
    size_t capacity;
};

/* Runs what is due. */
void rpc_timers_run(struct rpc_timers *timers, int64_t now_ns);
/* When the next is due, INT64_MAX when there is none. */
int64_t rpc_timers_due_ns(const struct rpc_timers *timers);
void rpc_timers_done(struct rpc_timers *timers);
