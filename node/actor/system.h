/* actor/system.h: the actor runtime of one node, as the rest of the node sees it. Pure: no sockets, no
 * processes; time and chance come from struct clock and struct rng; what leaves the node goes through struct
 * actor_outbound.
 *
 * Threads: it owns `worker_count` worker threads and a watchdog thread. Functions marked "any thread" may be
 * called by everybody but behaviors; callbacks say on which thread they come, and must not block.
 *
 * Names inside this module are without the system: "tellers.0/counter". */
#ifndef ACTOR_SYSTEM_H
#define ACTOR_SYSTEM_H

#include "base/err.h"

#include <histrio/actor.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct actor_system;
struct clock;
struct message;
struct trace_context;

/* ---- what a unit is ---- */

enum actor_restart { ACTOR_PERMANENT, ACTOR_TRANSIENT, ACTOR_TEMPORARY };
enum actor_strategy { ACTOR_ONE_FOR_ONE, ACTOR_ONE_FOR_ALL, ACTOR_REST_FOR_ONE };
enum actor_overflow { ACTOR_WAIT, ACTOR_OVERFLOW_FAIL, ACTOR_DROP_OLDEST, ACTOR_DROP_NEWEST };

#define ACTOR_SHUTDOWN_BRUTAL 0u
#define ACTOR_SHUTDOWN_INFINITY UINT32_MAX

/* Where an actor runs: docs/host.md. */
enum actor_isolation {
    ACTOR_ISOLATION_NODE, /* in this process; of a Python behavior: not said, which is ACTOR_ISOLATION_SHARED
                           */
    ACTOR_ISOLATION_SHARED,  /* in a worker process, with others of its app */
    ACTOR_ISOLATION_GROUP,   /* in one with all others of its unit that say so */
    ACTOR_ISOLATION_PROCESS, /* in one of its own */
    ACTOR_ISOLATION_SPAWNER, /* in the one of who spawned it: only node/host knows that */
};

/* A child of a supervisor, or the root of a unit. Strings and arguments are copied by whom they are given to.
 */
struct actor_child_spec {
    const char *name;
    const char *under;    /* the supervisor in the unit's flat list that it is below; "": the root */
    const char *behavior; /* "bank.teller", or "bank:Teller" of a Python module; NULL: a supervisor */
    const uint8_t *arguments;
    size_t arguments_size;
    enum actor_restart restart;
    uint32_t shutdown_ms;      /* or the two constants above */
    uint32_t mailbox_capacity; /* 0: unbounded, with muting of senders */
    enum actor_overflow overflow;
    bool drop_mailbox_on_restart;
    enum actor_isolation isolation;
    bool is_supervisor;
    enum actor_strategy strategy; /* this and the next: supervisors only */
    uint32_t restarts_max;
    uint32_t period_ms;
    uint32_t backoff_initial_ms; /* 0: restarts do not wait */
    uint32_t backoff_max_ms;
};

struct actor_unit_spec {
    const char *name; /* "tellers.0" */
    int64_t generation;
    struct actor_child_spec root;
    const struct actor_child_spec *children; /* flat, in start order */
    size_t child_count;
};

/* ---- messages that cross the node's border ---- */

enum actor_envelope_kind { ENVELOPE_TELL, ENVELOPE_ASK, ENVELOPE_REPLY, ENVELOPE_ERROR_REPLY };

/* A message outside of the runtime. Fields that are not of its kind are 0. Where it is an argument, it is
 * borrowed. */
struct actor_envelope {
    enum actor_envelope_kind kind;
    enum histrio_error error; /* of ENVELOPE_ERROR_REPLY */
    const char *target_name;  /* or NULL: then target */
    /* Without a name: {uid of the node that hosts it, actor id}. Into the runtime also a name that the caller
     * looked up before with actor_system_name(): saves hashing. Of replies always the asker's reference,
     * which came with the ask. */
    struct histrio_ref target;
    uint64_t target_incarnation; /* 0: the present one */
    const char *sender_name;     /* NULL: unnamed, or nobody */
    struct histrio_ref sender;   /* {node uid, actor id}, of named senders, too; nobody: a client */
    const char *sender_unit;     /* NULL: in no unit */
    const char *type;            /* NULL: then type_id */
    uint32_t type_id;      /* into the runtime, with type NULL: of histrio_type(); out of it always set */
    uint64_t ask;          /* id in the asker's node: ENVELOPE_ASK and both replies */
    uint32_t remaining_ms; /* of an ask */
    const uint8_t *value;
    size_t size;
    const struct trace_context *trace; /* of a tell or ask from a client; NULL: none */
};

enum actor_signal_kind {
    SIGNAL_LINK,
    SIGNAL_UNLINK,
    SIGNAL_UNLINK_ACKNOWLEDGE,
    SIGNAL_MONITOR,
    SIGNAL_DEMONITOR,
    SIGNAL_EXIT,
    SIGNAL_DOWN,
    /* Only to who sent a SIGNAL_MONITOR that lasts over restarts: older nodes never do. */
    SIGNAL_ENDED,
    SIGNAL_RESTARTED,
    /* In no signal of link.proto: */
    SIGNAL_CANCEL, /* nobody waits for `ask` any more, which `from` asked of `to`; may get lost */
};

/* A link or monitor signal between nodes, or what follows an ask. */
struct actor_signal {
    enum actor_signal_kind kind;
    const char *from_name, *to_name; /* NULL: unnamed */
    struct histrio_ref from, to;
    uint64_t to_incarnation;   /* 0: the present one */
    uint64_t from_incarnation; /* of SIGNAL_ENDED, which ended, and SIGNAL_RESTARTED */
    uint64_t monitor;          /* its highest bit: it lasts over restarts */
    uint64_t ask;              /* of SIGNAL_CANCEL */
    const char *reason;        /* of ENDED and RESTARTED with the stack behind a line feed */
    bool by_link;
};

/* Where the runtime hands over what is not for this node. Called on worker threads; must not block; borrowed
 * arguments. `send` answers HISTRIO_OK when it took the envelope (delivery is then the transport's business:
 * an ask that it cannot deliver must be answered through actor_system_deliver() with an
 * ENVELOPE_ERROR_REPLY), else why not: the runtime then answers an ask, and counts a dead letter for a tell.
 * `pressure` is true when the route's queue is over its high mark: the sending actor is muted until
 * actor_system_pressure_lifted(). */
struct actor_outbound {
    enum histrio_error (*send)(void *ctx, const struct actor_envelope *envelope, bool *ret_pressure);
    /* *ret_node: the uid of the node that it was sent to, set with HISTRIO_OK. When that node is declared
     * dead, links and monitors that went there end with `noconnection`, also those that went to a name. */
    enum histrio_error (*signal)(void *ctx, const struct actor_signal *signal, uint64_t *ret_node);
    void *ctx;
};

/* ---- what the runtime reports ---- */

/* One end of one actor. Called on worker threads, borrowed. */
struct actor_exit_report {
    const char *path;
    const char *unit;
    uint64_t epoch;
    uint64_t incarnation;
    const char *reason;
    int64_t at_wall_ms;
    const char *decision; /* Restart, RestartAll, RestartRest, Remove, Shutdown, GiveUp */
    const char *cause;    /* path of the actor whose failure caused it; "": its own */
};

/* ---- actors outside of this process ---- */

struct worker;

/* How they are hosted: node/host. Units with hosted actors are placed on worker 0, whose thread calls all of
 * this but `wake`. */
struct actor_hosting {
    /* Runs in the place of each hosted actor, see actor/hosted.h. Its start argument is a struct
     * actor_child_spec *, which outlives it. */
    const struct histrio_behavior *behavior;
    /* An exit signal that would end a hosted actor, "kill" aside: the behavior ends it when it wants. */
    void (*exit)(void *ctx, struct histrio_context *hosted, void *state, const char *reason);
    /* Nobody waits for that ask any more, which the behavior has kept, or has ended. NULL: it does not care.
     */
    void (*cancel)(
        void *ctx, struct histrio_context *hosted, void *state, struct histrio_ref asker, uint64_t ask);
    /* Between turns: what came in from outside. is_idle: nothing else is to be done now. True when there was
     * anything. */
    bool (*poll)(void *ctx, struct worker *worker, bool is_idle);
    /* In place of sleeping: until something comes in, `wake` is called, or the time is over (INT64_MAX:
     * never). A `wake` that came before counts. */
    void (*wait)(void *ctx, struct worker *worker, int64_t timeout_ns);
    void (*wake)(void *ctx); /* any thread */
    /* The stack of the fault that ended a hosted actor of this id just now, "" when it is not known; NULL: it
     * never is. On the thread of hosted actors. */
    const char *(*stack)(void *ctx, uint64_t actor);
    /* The thread ends: messages that were kept are forgotten, hosted actors are gone. */
    void (*stop)(void *ctx, struct worker *worker);
    void *ctx;
};

/* In another process: Python, or C with an isolation of its own. */
bool actor_child_is_hosted(const struct actor_child_spec *child);

enum actor_unit_state {
    UNIT_STARTING,
    UNIT_RUNNING,
    UNIT_STOPPING,
    UNIT_FAILED,
    UNIT_STOPPED,
    UNIT_PRESENT, /* between STARTING and RUNNING: all mailboxes are there; hosted actors may still be
                     starting */
};

struct actor_events {
    void (*exited)(void *ctx, const struct actor_exit_report *report);
    /* UNIT_RUNNING: all children started, hosted ones as well. UNIT_FAILED: start failed or the root gave up;
     * holds nothing any more. UNIT_STOPPED: its root ended normally, or actor_system_unit_stop() is done. */
    void (*unit_changed)(
        void *ctx, const char *unit, uint64_t epoch, enum actor_unit_state state, const char *reason);
    /* A handler has been executing for longer than the limit. On the watchdog's thread. */
    void (*stuck)(void *ctx, const char *path, const char *type, uint64_t running_ms);
    void *ctx;
};

struct actor_system_config {
    uint64_t node_uid;
    const char *system;          /* "bank", for addresses in logs */
    unsigned worker_count;       /* 0: cores */
    uint32_t handler_timeout_ms; /* watchdog; 0: 10,000 */
    struct clock *clock;         /* NULL: the system's */
    uint64_t seed;               /* of ids and backoff */
    struct actor_outbound outbound;
    struct actor_events events;
    const struct actor_hosting *hosting; /* NULL: no actor outside; lives longer than the system */
};

/* Starts the threads. */
int actor_system_new(
    const struct actor_system_config *config, struct actor_system **ret_system, struct err *err);
/* Stops all units in reverse order (as their shutdown times say, at most `timeout_ms`), then the threads. Any
 * thread. */
void actor_system_free(struct actor_system *system, uint32_t timeout_ms);

/* Loads a behavior library (dlopen, ABI check, names unique). Any thread. */
int actor_system_load_library(
    struct actor_system *system, const char *name, const char *path, struct err *err);
/* For tests, benches and the simulator: behaviors that are linked in, as library `library->name`. */
int actor_system_add_library(
    struct actor_system *system, const struct histrio_library *library, struct err *err);
bool actor_system_has_behavior(struct actor_system *system, const char *name);

/* Any thread; the outcome comes by events.unit_changed. ERR_CONFLICT: a unit of this name runs; ERR_INVALID:
 * the spec is wrong (says which child); ERR_NOT_FOUND: a behavior is missing. The spec is copied. */
int actor_system_unit_start(
    struct actor_system *system, const struct actor_unit_spec *spec, uint64_t epoch, struct err *err);
int actor_system_unit_stop(struct actor_system *system, const char *unit, struct err *err);

/* A message or signal that came in. Any thread (the link thread); copied. An ask to nobody gets its error
 * reply through outbound. `ret_pressure` (may be NULL): the target's mailbox is over its mark. */
enum histrio_error actor_system_deliver(
    struct actor_system *system, const struct actor_envelope *envelope, bool *ret_pressure);
void actor_system_signal(struct actor_system *system, const struct actor_signal *signal);
/* Whether the actor of that number (of actor_system_name()) is still overloaded, after deliver said so. Any
 * thread. */
bool actor_system_is_overloaded(struct actor_system *system, uint64_t name);
/* The number of a name for envelope.target = {0, number}; 0 when it is not well-formed. Any thread; takes a
 * lock once. */
uint64_t actor_system_name(struct actor_system *system, const char *name);

/* An ask from outside of any actor (gateway). Any thread. `done` comes exactly once, by the deadline at the
 * latest, on a worker thread or (when it fails at once) inside of this call, `value` borrowed; of an error a
 * plain text. The target may be local or remote. */
void actor_system_ask(struct actor_system *system, const char *target, const char *type, const uint8_t *value,
    size_t size, uint32_t timeout_ms,
    void (*done)(void *ctx, enum histrio_error error, const uint8_t *value, size_t size), void *ctx);
enum histrio_error actor_system_tell(
    struct actor_system *system, const char *target, const char *type, const uint8_t *value, size_t size);
/* The same as part of a trace, which hosted actors see; NULL: of none. */
void actor_system_ask_traced(struct actor_system *system, const struct trace_context *trace,
    const char *target, const char *type, const uint8_t *value, size_t size, uint32_t timeout_ms,
    void (*done)(void *ctx, enum histrio_error error, const uint8_t *value, size_t size), void *ctx);
/* The same for one that the caller may give up: the word for that, which is the caller's, to be given to one
 * of the two below; NULL when `done` has come already. */
struct message *actor_system_ask_cancelable(struct actor_system *system, const struct trace_context *trace,
    const char *target, const char *type, const uint8_t *value, size_t size, uint32_t timeout_ms,
    void (*done)(void *ctx, enum histrio_error error, const uint8_t *value, size_t size), void *ctx);
/* Whoever has the ask is told that nobody waits for it, and `done` comes soon, once as ever. Any thread. */
void actor_system_cancel_take(struct actor_system *system, struct message *word);
/* Of an ask whose `done` has come. Any thread; NULL is fine. */
void actor_system_word_free(struct message *word);
enum histrio_error actor_system_tell_traced(struct actor_system *system, const struct trace_context *trace,
    const char *target, const char *type, const uint8_t *value, size_t size);

/* A peer's uid is declared dead: links and monitors to it fire with `noconnection`, once. Any thread. */
void actor_system_node_dead(struct actor_system *system, uint64_t node_uid);
/* The stream to a peer broke: asks that were sent there and are not acknowledged end with Uncertain: the
 * transport answers them one by one with actor_system_deliver(). Senders muted for that route go on. Any
 * thread. */
void actor_system_pressure_lifted(struct actor_system *system);

/* R5. Any thread; takes effect before the next handler of each worker. */
void actor_system_set_suspended(struct actor_system *system, bool suspended);

/* ---- looking in: any thread, copies, consistent a row ---- */

struct actor_info {
    char path[256];
    char unit[128];
    char behavior[128];
    uint64_t epoch;
    uint64_t incarnation;
    const char *state; /* Starting, Running, Restarting, Stopping, Stopped */
    uint32_t mailbox_depth;
    char last_exit_reason[256]; /* "": never */
    int64_t last_exit_wall_ms;
};
void actor_system_list(struct actor_system *system, const char *below,
    void (*row)(void *ctx, const struct actor_info *info), void *ctx);

struct actor_counters {
    uint64_t messages, spawned, exited, restarts, dead_letters, timers_fired;
    uint64_t kept_bytes; /* for the next incarnations of hosted actors */
    uint32_t actors;
    uint64_t mailbox_depth;
    uint32_t busy_permille;
};
void actor_system_counters(struct actor_system *system, struct actor_counters *ret_counters);

#endif
