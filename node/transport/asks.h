/* transport/asks.h: the asks that one peer has not answered yet, so that they end when it is declared dead.
 * Guarded by the lock of struct outgoing. A zeroed struct is empty. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ask_entry {
    uint64_t ask; /* 0: a free place */
    uint64_t asker;
    int64_t deadline_ns;
};

struct asks {
    struct ask_entry *entries; /* open addressing */
    size_t capacity;           /* a power of two, or 0 */
    size_t count;
};

void asks_done(struct asks *asks);
/* `ask` is not 0. Put again, it is there once. */
void asks_put(struct asks *asks, uint64_t ask, uint64_t asker, int64_t deadline_ns);
bool asks_remove(struct asks *asks, uint64_t ask); /* false: it was not there */
/* Forgets those whose deadline has passed: their askers were told by their own clock. */
void asks_sweep(struct asks *asks, int64_t now_ns);
