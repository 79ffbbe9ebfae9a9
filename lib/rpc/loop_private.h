/* rpc/loop_private.h: what the rest of module rpc needs of a loop. */
#pragma once

#include <grpc/grpc.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "rpc/loop.h"

struct rpc_timers;

/* Ranks of the module's locks; docs/locks.md. */
enum {
    RPC_RANK_POSTS = 950,
    RPC_RANK_WAITS = 951,
};

/* Work that is put off until the present callbacks are over, so that several writes become one batch. */
struct rpc_later {
    struct list_node node;
    void (*run)(struct rpc_later *later);
};

struct rpc_timers *rpc_loop_timers(struct rpc_loop *loop);
grpc_completion_queue *rpc_loop_queue(struct rpc_loop *loop);

/* An object of the loop exists; the loop does not end before it is gone. hold: any thread, release: the
 * loop's. */
void rpc_loop_hold(struct rpc_loop *loop);
void rpc_loop_release(struct rpc_loop *loop);

/* On the loop's thread. Once for each time it is asked; a second request before it ran changes nothing. */
void rpc_loop_later(struct rpc_loop *loop, struct rpc_later *later);

/* Memory of the loop for the time of one callback, at least `size` bytes. */
uint8_t *rpc_loop_scratch(struct rpc_loop *loop, size_t size);

/* For threads that wait for something that the loop's thread does: *done is guarded by a lock of the loop. */
void rpc_loop_wait(struct rpc_loop *loop, const bool *done);
void rpc_loop_wake(struct rpc_loop *loop, bool *done);
