/* rpc/tag.h: what gRPC hands back when an operation has ended. Private to module rpc.
 *
 * A tag is embedded in the object that waits. It must live until `done` was called, which always happens once
 * for each successful start, also when everything shuts down. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

struct rpc_tag {
    void (*done)(struct rpc_tag *tag, bool ok);
    atomic_uint posted;
};

/* gRPC orders what was written before an operation was started before its completion. ThreadSanitizer cannot
 * see that in a library that was built without it, so the tag says the same once more: rpc_tag_post() before
 * the start pairs with the acquire in rpc_tag_complete(). */
static inline void rpc_tag_post(struct rpc_tag *tag)
{
    atomic_fetch_add_explicit(&tag->posted, 1, memory_order_release);
}

static inline void rpc_tag_complete(struct rpc_tag *tag, bool ok)
{
    (void)atomic_load_explicit(&tag->posted, memory_order_acquire);
    tag->done(tag, ok);
}
