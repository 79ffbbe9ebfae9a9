/* histrio/actor.h: the C API for people who write actors.
 *
 * A behavior is a table of functions in a shared library. The node loads the library, finds behaviors by name
 * ("bank.teller": library bank, behavior teller), and calls them for each actor: one message at a time, never
 * two at once for one actor. All functions here may be called only inside a behavior's function, with the
 * context that it was given, unless they say otherwise; none of them blocks. Values are msgpack
 * (histrio/value.h reads and writes them).
 *
 * Sending is at most once, and in order for each pair of actors. Nothing that is passed in is kept: values,
 * names and texts are copied. Nothing that is passed to a behavior's function outlives that function. */
#ifndef HISTRIO_ACTOR_H
#define HISTRIO_ACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when a field or a function changes its meaning; a node refuses a library with another number, by
 * name. */
#define HISTRIO_ABI_VERSION 1

#define HISTRIO_API __attribute__((visibility("default")))

/* The same numbers as histrio.v1.Error. */
enum histrio_error {
    HISTRIO_OK = 0,
    HISTRIO_NOT_FOUND = 1,
    HISTRIO_UNAVAILABLE = 2,
    HISTRIO_UNCERTAIN = 3,
    HISTRIO_FENCED = 4,
    HISTRIO_MAILBOX_FULL = 5,
    HISTRIO_TIMEOUT = 6,
    HISTRIO_CRASHED = 7,
    HISTRIO_BAD_ARGUMENT = 8,
    HISTRIO_APPLICATION = 9,
    HISTRIO_DENIED = 10,
};

/* "NotFound", "Timeout", ... Any thread. */
HISTRIO_API const char *histrio_error_name(enum histrio_error error);

/* A reference: one incarnation of an actor (node is its node's uid), or a name (node is 0, id an interned
 * name of this process) that addresses the present incarnation wherever it is. All zero: nobody. An
 * incarnation's reference is dead for ever once it ended, also when the actor is started again under its
 * name. */
struct histrio_ref {
    uint64_t node;
    uint64_t id;
};

static inline bool histrio_ref_equal(struct histrio_ref left, struct histrio_ref right)
{
    return left.node == right.node && left.id == right.id;
}

static inline bool histrio_ref_is_nobody(struct histrio_ref ref)
{
    return ref.node == 0 && ref.id == 0;
}

struct histrio_context; /* of the function that runs; histrio/value.h has struct histrio_writer */
struct histrio_writer;

enum histrio_kind {
    HISTRIO_TELL,
    HISTRIO_ASK,   /* answer it with histrio_reply(), now or later through histrio_caller() */
    HISTRIO_REPLY, /* of an ask of ours: `reference` is what histrio_ask() returned */
    HISTRIO_ERROR, /* the same, failed: `error`; the value is a plain text, not msgpack */
    HISTRIO_TIMER, /* `reference` is what histrio_timer_start() returned, or 0 for histrio_receive_timeout()
                    */
    HISTRIO_EXIT,  /* a linked actor ended and we trap exits: `sender`; the value is the reason, a plain text
                    */
    HISTRIO_DOWN, /* a monitored actor ended: `reference` is what histrio_monitor() returned; the value is the
                     reason */
    /* Of histrio_watch() only: */
    HISTRIO_ENDED,     /* an incarnation of a watched actor ended, and its supervisor may start another */
    HISTRIO_RESTARTED, /* its supervisor has started another */
};

/* A message as its receiver sees it; valid until the function that was given it returns. Plain texts (of
 * errors and reasons) end with a NUL that `size` does not count. */
struct histrio_message {
    uint32_t type; /* interned method name: compare with histrio_type("deposit"), kept from start */
    uint8_t kind;  /* enum histrio_kind */
    uint8_t error; /* enum histrio_error, of HISTRIO_ERROR */
    uint32_t size; /* of value, bytes */
    const uint8_t *value;
    struct histrio_ref sender; /* nobody, for clients of the gateway */
    uint64_t reference;        /* ask, timer or monitor id */
};

/* What a behavior's functions return. */
enum histrio_result {
    HISTRIO_CONTINUE = 0,
    HISTRIO_STOP = 1,      /* exit with reason "normal" (or the one given to histrio_fail()) */
    HISTRIO_FAIL = 2,      /* exit with the reason given to histrio_fail(), or "error" */
    HISTRIO_UNHANDLED = 3, /* an ask is answered BadArgument "no method ..."; a tell becomes a dead letter */
};

struct histrio_behavior {
    const char *name;
    size_t state_size; /* zeroed memory, aligned to 16, that the node gives to each incarnation */
    /* Arguments from the manifest or from histrio_spawn(), msgpack. NULL: nothing to start. Whoever spawns
     * waits for it, so it must be quick. HISTRIO_STOP and HISTRIO_FAIL: the start failed; `stop` is not
     * called then. */
    enum histrio_result (*start)(
        struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size);
    enum histrio_result (*receive)(
        struct histrio_context *ctx, void *state, const struct histrio_message *message);
    /* Called once before the state goes, whatever the reason, except for a crash of the node. It may send,
     * but not spawn. May be NULL. */
    void (*stop)(struct histrio_context *ctx, void *state, const char *reason);
    /* For state that survives restarts: write all of the state, and read it back in place of start. Both or
     * none. Called in worker processes only (isolation in the manifest, docs/actors.md): snapshot after each
     * message that was handled, and it neither sends nor spawns. HISTRIO_UNHANDLED: none now, the last one
     * stays; HISTRIO_FAIL: the actor exits with the reason given to histrio_fail(), and the last one stays. A
     * restore that fails is a failed start. */
    enum histrio_result (*snapshot)(
        struct histrio_context *ctx, const void *state, struct histrio_writer *writer);
    enum histrio_result (*restore)(
        struct histrio_context *ctx, void *state, const uint8_t *snapshot, size_t size);
    uint32_t flags; /* HISTRIO_TRAP_EXITS */
};

#define HISTRIO_TRAP_EXITS 1u /* exit signals come as HISTRIO_EXIT messages, "kill" aside */

struct histrio_library {
    uint32_t abi_version;
    const char *name;
    const struct histrio_behavior *const *behaviors; /* NULL-terminated */
};

/* Once a library: HISTRIO_LIBRARY(bank, &teller, &ledger); */
#define HISTRIO_LIBRARY(library, ...)                                                                        \
    HISTRIO_API extern const struct histrio_library histrio_library;                                         \
    const struct histrio_library histrio_library = {                                                         \
        HISTRIO_ABI_VERSION, #library, (const struct histrio_behavior *const[]){__VA_ARGS__, NULL}}

/* ---- who we are ---- */

HISTRIO_API struct histrio_ref histrio_self(struct histrio_context *ctx);
/* Who spawned us: a supervisor or another actor. */
HISTRIO_API struct histrio_ref histrio_parent(struct histrio_context *ctx);
/* "tellers.0/counter"; "" for an unnamed actor. Without the system's name. Valid while the process runs. */
HISTRIO_API const char *histrio_path(struct histrio_context *ctx);
/* "tellers.0"; "" for an actor that belongs to no unit. Valid until the function returns. */
HISTRIO_API const char *histrio_unit(struct histrio_context *ctx);
/* Epoch of our unit's placement: a token for outside systems, which only ever grows. */
HISTRIO_API uint64_t histrio_epoch(struct histrio_context *ctx);
/* How many times an actor was started under our name on this node, from 1; unnamed actors: 1. */
HISTRIO_API uint64_t histrio_incarnation(struct histrio_context *ctx);

/* ---- names ---- */

/* The number of a method name, the same for all actors of this process; 0 when the name is empty or longer
 * than 128 bytes. Any thread; takes a lock, so keep the number in the state. */
HISTRIO_API uint32_t histrio_type(const char *name);
/* The name of such a number, "" for one that was never given out. Any thread. Valid while the process runs.
 */
HISTRIO_API const char *histrio_type_name(uint32_t type);
/* A reference by name: "tellers.0/counter" without the system, "../printer" for a sibling, "./child" for an
 * actor below us. The actor need not exist: each send looks for the present one. Nobody: the name is not
 * well-formed. */
HISTRIO_API struct histrio_ref histrio_lookup(struct histrio_context *ctx, const char *name);
/* The name of a reference: known for names and for named actors of this node, else "". Valid while the
 * process runs. */
HISTRIO_API const char *histrio_ref_name(struct histrio_context *ctx, struct histrio_ref ref);

/* ---- messages ---- */

/* Sends and forgets. The result tells what is known at once (HISTRIO_OK: handed over, not delivered):
 * NOT_FOUND for an actor of this worker that is gone, MAILBOX_FULL for a full mailbox with the policy Fail,
 * BAD_ARGUMENT for a value over the limit (4 MiB), UNAVAILABLE and such from the route to another node. What
 * does not arrive is counted as a dead letter. When the receiver is overloaded, we get no next message until
 * it has caught up. */
HISTRIO_API enum histrio_error histrio_tell(
    struct histrio_context *ctx, struct histrio_ref to, uint32_t type, const uint8_t *value, size_t size);

/* Asks, and gets exactly one HISTRIO_REPLY or HISTRIO_ERROR message with the returned number as its
 * `reference`, at the latest when timeout_ms have passed (HISTRIO_TIMEOUT). Failures that are known at once
 * come as a message, too. A reply that comes later than the deadline is dropped. timeout_ms 0 means 5,000. */
HISTRIO_API uint64_t histrio_ask(struct histrio_context *ctx, struct histrio_ref to, uint32_t type,
    const uint8_t *value, size_t size, uint32_t timeout_ms);

/* The same, and `then` is called in place of `receive`, with our state and data. data is the caller's; when
 * we exit first, `then` never comes. */
typedef enum histrio_result (*histrio_then)(
    struct histrio_context *ctx, void *state, const struct histrio_message *outcome, void *data);
HISTRIO_API uint64_t histrio_ask_then(struct histrio_context *ctx, struct histrio_ref to, uint32_t type,
    const uint8_t *value, size_t size, uint32_t timeout_ms, histrio_then then, void *data);

/* Answers the ask that is being handled. The first answer counts, later ones are ignored. A handler that
 * returns without an answer, and without having called histrio_caller(), has answered nil. */
HISTRIO_API void histrio_reply(struct histrio_context *ctx, const uint8_t *value, size_t size);
HISTRIO_API void histrio_reply_error(struct histrio_context *ctx, enum histrio_error error, const char *text);

/* Who waits for an answer: keep it in the state and answer later. If we exit before, the asker gets
 * HISTRIO_CRASHED. */
struct histrio_caller {
    struct histrio_ref asker;
    uint64_t ask; /* 0: nobody waits, answers are ignored */
};
/* Of the ask that is being handled; without one, nobody. */
HISTRIO_API struct histrio_caller histrio_caller(struct histrio_context *ctx);
HISTRIO_API void histrio_reply_to(
    struct histrio_context *ctx, struct histrio_caller caller, const uint8_t *value, size_t size);
HISTRIO_API void histrio_reply_error_to(
    struct histrio_context *ctx, struct histrio_caller caller, enum histrio_error error, const char *text);

/* ---- other actors ---- */

/* All zero is a plain, unnamed, unlinked actor with an unbounded mailbox. */
struct histrio_spawn_options {
    const char
        *name; /* a DNS label: the new actor is <our path>/<name>; NULL: unnamed. We must have a name then. */
    bool link; /* linked and monitored atomically: no exit is missed */
    bool monitor;
    uint32_t mailbox_capacity; /* 0: unbounded; when full, senders wait */
    uint64_t *ret_monitor;     /* with monitor: its number */
};

/* Starts an actor on our worker, in our unit, and runs its start function at once. behavior is "bank.teller",
 * or "teller" in our own library. HISTRIO_NOT_FOUND: no such behavior; HISTRIO_BAD_ARGUMENT: the name is bad
 * or taken; HISTRIO_APPLICATION: start failed; HISTRIO_UNAVAILABLE: too deep (a start that spawns a start
 * ...) or too many actors. When we exit, the actors that we spawned live on, unless linked. options and
 * ret_ref may be NULL. */
HISTRIO_API enum histrio_error histrio_spawn(struct histrio_context *ctx, const char *behavior,
    const uint8_t *arguments, size_t size, const struct histrio_spawn_options *options,
    struct histrio_ref *ret_ref);
/* The same without a look-up by name: for behaviors of one's own library. */
HISTRIO_API enum histrio_error histrio_spawn_behavior(struct histrio_context *ctx,
    const struct histrio_behavior *behavior, const uint8_t *arguments, size_t size,
    const struct histrio_spawn_options *options, struct histrio_ref *ret_ref);

/* An exit signal, as in OTP: "normal" of others is ignored unless trapped, "kill" cannot be trapped and ends
 * the actor with "killed", any other reason ends an actor that does not trap exits. To ourselves: takes
 * effect after this message. */
HISTRIO_API void histrio_exit(struct histrio_context *ctx, struct histrio_ref to, const char *reason);
/* The reason of our exit, when the function that runs returns HISTRIO_FAIL (or HISTRIO_STOP). Cut to 255
 * bytes. */
HISTRIO_API __attribute__((format(printf, 2, 3))) void histrio_fail(
    struct histrio_context *ctx, const char *format, ...);
HISTRIO_API void histrio_trap_exits(struct histrio_context *ctx, bool trap);

/* Links are mutual and a set: linking twice is linking once. Linking to what is gone gives an exit signal
 * "noproc". After histrio_unlink() no HISTRIO_EXIT of that link comes any more (one that is already in the
 * mailbox is taken out). A name stands for the actor that has it at the call: the exit of one that had it
 * before and has ended may still come, which only its own reference takes out. */
HISTRIO_API void histrio_link(struct histrio_context *ctx, struct histrio_ref to);
HISTRIO_API void histrio_unlink(struct histrio_context *ctx, struct histrio_ref to);
/* Exactly one HISTRIO_DOWN for each number, with the exit's reason, "noproc" when it was gone already,
 * "noconnection" when its node is declared dead. Monitors stack. After histrio_demonitor() the DOWN never
 * comes. */
HISTRIO_API uint64_t histrio_monitor(struct histrio_context *ctx, struct histrio_ref to);
HISTRIO_API void histrio_demonitor(struct histrio_context *ctx, uint64_t monitor);
/* As histrio_monitor(), over restarts: each end of an incarnation that a supervisor may follow by another is
 * a HISTRIO_ENDED, each other one that it started is a HISTRIO_RESTARTED, both with the number as `reference`
 * and the incarnation that is to come, or has come, as `sender`. The one HISTRIO_DOWN, after which nothing
 * comes, tells of an end for good: with its reason, or "noproc" when HISTRIO_ENDED had told that, and when
 * there never was such an actor. Values of the two are maps: "incarnation" (which has ended, or was started),
 * "reason" (why it, or the one before, ended: "SIGSEGV libbank.so in add+0x1c"), "traceback" (the stack, when
 * it is known; else ""). Ends with histrio_demonitor(). */
HISTRIO_API uint64_t histrio_watch(struct histrio_context *ctx, struct histrio_ref to);

/* ---- time ---- */

/* A HISTRIO_TIMER message of this type, not before delay_ms have passed; period_ms 0: once, else again and
 * again. Timers end with their actor. Returns the timer's number. */
HISTRIO_API uint64_t histrio_timer_start(
    struct histrio_context *ctx, uint32_t delay_ms, uint32_t period_ms, uint32_t type);
/* Remaining milliseconds, or -1 when it fired already or is unknown. After it, the timer's message never
 * comes: one that is already in the mailbox is taken out. */
HISTRIO_API int64_t histrio_timer_cancel(struct histrio_context *ctx, uint64_t timer);
/* A HISTRIO_TIMER message with reference 0 when no other message came for so long; again after each further
 * message. 0: off. */
HISTRIO_API void histrio_receive_timeout(struct histrio_context *ctx, uint32_t timeout_ms);

/* Monotonic, of this machine, and milliseconds since 1970 in UTC: through the node's clock, so that
 * simulations own it. */
HISTRIO_API int64_t histrio_now_ns(struct histrio_context *ctx);
HISTRIO_API int64_t histrio_wall_ms(struct histrio_context *ctx);
/* A random number of the node's seeded generator. */
HISTRIO_API uint64_t histrio_random(struct histrio_context *ctx);

/* ---- logs ---- */

enum histrio_log_level { HISTRIO_DEBUG, HISTRIO_INFO, HISTRIO_WARNING, HISTRIO_LOG_ERROR };

/* One JSON line with system, unit, actor and incarnation. */
HISTRIO_API __attribute__((format(printf, 3, 4))) void histrio_log(
    struct histrio_context *ctx, enum histrio_log_level level, const char *format, ...);

#ifdef __cplusplus
}
#endif
#endif
