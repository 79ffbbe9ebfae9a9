/* The inside of the worker, for the files of this module. One thread has it all. */
#ifndef CWORKER_PRIVATE_H
#define CWORKER_PRIVATE_H

#include "base/limits.h"
#include "base/rng.h"
#include "base/vec.h"
#include "capi/library.h"
#include "cworker/begun.h"
#include "cworker/connection.h"
#include "cworker/cworker.h"

#include <histrio/actor.h>

enum { REASON_BYTES = 256, SPAWN_DEPTH_MAX = 100, GATHER_BYTES = 64 * 1024 /* said, and not written */ };
enum { HELD_BYTES = 2 * LIMIT_VALUE_BYTES /* said by one handler, before its snapshot */ };

/* ---- actors ---- */

struct user_timer {
    uint64_t number;
    int64_t due_ns;
    uint32_t period_ms; /* 0: once */
};

struct monitor {
    uint64_t number;
    struct histrio_ref ref; /* as it was given */
};

/* Until the node has said that it unlinked: exits from there do not count. */
struct unlinking {
    uint64_t number;
    struct histrio_ref ref;
};

struct cactor {
    struct cworker *worker;
    uint32_t slot;
    struct histrio_ref self, parent;
    const struct library_behavior *entry; /* of the table of libraries */
    void *state;
    uint32_t path; /* of capi/intern.h, which keeps it for ever */
    char *unit;
    uint64_t epoch, incarnation;
    char *exit_reason; /* ends with it after the function that runs */
    bool traps;
    uint32_t asks;       /* that are open */
    VEC(uint64_t) taken; /* deliveries that histrio_caller() keeps, in their order */
    VEC(struct user_timer) timers;
    VEC(struct monitor) monitors;
    VEC(struct unlinking) unlinking;
    uint32_t receive_timeout_ms;
    int64_t last_message_ns;
};

/* What a behavior's function gets: one for each call that is on the stack. */
struct histrio_context {
    struct cworker *worker;
    struct cactor *actor;
    const struct histrio_message *message; /* NULL in start and stop */
    uint64_t delivery;                     /* of an ask, else 0 */
    bool answered, taken;
    bool may_spawn;
    char *fail_reason;
    uint8_t *buffer; /* that its message is in, once more was read */
};

/* ---- the worker ---- */

/* Numbers of asks count up; the lowest 20 bits are their place. */
struct ask {
    uint64_t number; /* 0: free */
    struct cactor *actor;
    histrio_then then;
    void *data;
    uint32_t next_free;
};

/* An ask that failed here: the outcome is handled after the function that runs. */
struct failed_ask {
    uint64_t number;
    enum histrio_error error;
    const char *text; /* a literal */
};

struct slot {
    struct cactor *actor; /* NULL: nobody */
    bool is_dropped;      /* what still comes for it is not begun; it is never given to another */
    uint8_t *kept;        /* of an earlier incarnation, until START; NULL: nothing */
    size_t kept_size;
};

struct cworker {
    struct connection connection;
    struct begun begun;
    struct libraries libraries;
    struct rng rng;
    VEC(struct slot) slots;
    VEC(struct ask) asks;
    uint32_t free_ask;
    uint64_t ask_count;   /* ever */
    uint64_t last_number; /* of timers, monitors, requests */
    VEC(struct failed_ask) failed_asks;
    uint32_t timeouts; /* actors with a receive timeout */
    unsigned depth;    /* of spawns that wait */
    int64_t read_ns;   /* the last look at the socket */
    int64_t local_ns;  /* and at what needs no frame */
    const struct cactor *volatile executing;
    volatile uint32_t executing_type;
};

static inline struct cactor *cworker_actor(const struct cworker *worker, uint32_t slot)
{
    return slot > 0 && slot <= worker->slots.count ? worker->slots.items[slot - 1].actor : NULL;
}
static inline bool cworker_is_dropped(const struct cworker *worker, uint32_t slot)
{
    return slot > 0 && slot <= worker->slots.count && worker->slots.items[slot - 1].is_dropped;
}
struct slot *cworker_slot(struct cworker *worker, uint32_t slot); /* made now, if need be */
int64_t cworker_now(void);

/* dispatch.c: frames from the node */
void dispatch_frame(struct cworker *worker, const struct frame *frame, const uint8_t *payload);
/* Outcomes and timeouts that need no frame, as many as there are now: what their handlers bring about waits
 * for the frames, or an actor that asks again whenever it fails would be all that is ever handled. */
struct local_round {
    size_t failed_asks, timeouts;
};
struct local_round dispatch_round(const struct cworker *worker);
/* One of them; true when there was any. */
bool dispatch_local(struct cworker *worker, struct local_round *round);
/* Until the next receive timeout; -1: none. */
int dispatch_wait_ms(const struct cworker *worker);
/* What was said goes out now. */
void dispatch_flush(struct cworker *worker);

/* handling.c: calls of behaviors */
struct handled {
    const struct histrio_message *message;
    uint64_t delivery; /* 0: of none */
    histrio_then then; /* NULL: receive */
    void *data;
};
void handle_message(struct cworker *worker, struct cactor *actor, const struct handled *handled);
void handle_start(
    struct cworker *worker, struct cactor *actor, uint64_t delivery, const uint8_t *arguments, size_t size);
void handle_stop(struct cworker *worker, struct cactor *actor, uint64_t delivery, const char *reason);

/* instance.c: one actor */
struct cactor *instance_new(struct cworker *worker, const struct frame *frame, const uint8_t *payload,
    const uint8_t **ret_arguments, size_t *ret_size, struct err *err);
/* No longer in its slot; its asks are forgotten. */
void instance_free(struct cactor *actor);

/* handling.c: frames that end deliveries, and callers that wait */
void answer_frame(struct cactor *actor, enum frame_kind kind, unsigned code, uint64_t number,
    const void *payload, size_t size);
void answer_text(
    struct cactor *actor, enum frame_kind kind, unsigned code, uint64_t number, const char *text);
/* All that were taken get Crashed. */
void answer_taken(struct cactor *actor);

/* instance.c: open asks */
struct ask *ask_new(struct cactor *actor);
struct ask *ask_find(struct cworker *worker, uint64_t number);
void ask_free(struct cworker *worker, struct ask *ask);

/* spawn.c: the only wait. The answer to request `number`, *ret_payload to be freed with str_done(); false:
 * the connection is over. */
bool spawn_wait(
    struct histrio_context *ctx, uint64_t number, struct frame *ret_frame, struct str *ret_payload);

/* api.c: a frame of the context's actor, for who is behind `to`. Makes way when much was said. */
void api_send(struct histrio_context *ctx, struct frame *frame, struct histrio_ref to, const void *payload,
    size_t size);
/* A number for a request: never one of an ask. */
uint64_t api_request_number(struct cworker *worker);

#endif
