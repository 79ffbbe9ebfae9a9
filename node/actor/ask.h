/* Asks under way, in a table of the asker's worker. Each ends exactly once: by the first reply or error that
 * reaches its asker, or by its deadline; what comes later finds nothing. An ask whose asker has ended is
 * forgotten when its reply or its deadline comes. Whoever has an ask that its asker gives up is told: see
 * cancel.h.
 *
 * Thread: the asker's worker. */
#ifndef ACTOR_ASK_H
#define ACTOR_ASK_H

#include "actor/worker.h"

enum { ASK_TIMEOUT_DEFAULT_MS = 5000 };

/* How an ask from outside of any actor ends. */
typedef void (*ask_done)(void *ctx, enum histrio_error error, const uint8_t *value, size_t size);

struct ask {
    struct timer timer;
    uint64_t number;
    uint64_t asker; /* actor id */
    struct histrio_ref to;
    histrio_then then; /* NULL: the outcome goes to receive */
    void *data;
    ask_done done;   /* of a clerk's asks */
    bool is_settled; /* the outcome (a timeout) is in the asker's mailbox */
};

/* Starts the deadline. */
struct ask *ask_new(
    struct worker *worker, const struct actor *asker, struct histrio_ref to, uint32_t timeout_ms);
/* Takes the ask that this outcome belongs to out of the table and copies it; false when it is too late, or
 * not ours. */
bool ask_settle(
    struct worker *worker, const struct actor *asker, const struct message *outcome, struct ask *ret_ask);
/* Nobody waits for it any more. */
void ask_drop(struct worker *worker, uint64_t number);
/* The asker does not want its outcome any more; false: it has none, or never had. */
bool ask_cancel(struct worker *worker, const struct actor *asker, uint64_t number);
/* Ends all asks from outside with UNAVAILABLE, and frees the others. When the system goes. */
void ask_drop_all(struct worker *worker);

#endif
