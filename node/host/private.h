/* The inside of the host, for the files of this module. All of it belongs to worker 0's thread, but for what
 * is guarded by host.lock and the counters.
 *
 * A delivery is a message or signal that was handed to a process and is not over there. Its number carries
 * its place in the process's pool in the lowest 20 bits; the rest counts up, so that numbers grow and none
 * comes twice on a connection. */
#ifndef HOST_PRIVATE_H
#define HOST_PRIVATE_H

#include "actor/hosted.h"
#include "base/backoff.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mutex.h"
#include "base/str.h"
#include "base/vec.h"
#include "host/buffers.h"
#include "host/closer.h"
#include "host/frame.h"
#include "host/host.h"
#include "host/page.h"
#include "host/reason.h"

struct process;
struct proxy;

/* A descriptor in the epoll set. */
struct watched {
    int fd; /* -1: not watched */
    uint32_t events;
    void (*ready)(struct host *host, struct watched *watched, uint32_t events);
};

/* ---- one hosted actor: the state of its behavior ---- */

enum proxy_state {
    PROXY_WAITING,  /* for a process that can take it */
    PROXY_STARTING, /* START is on its way */
    PROXY_RUNNING,
    PROXY_STOPPING, /* STOP is on its way */
    PROXY_OVER,     /* the process has no such actor any more */
};

#define DELIVERY_NONE UINT32_MAX
enum { WINDOW_MAX = 256 };

/* A number that the process chose, and the runtime's for the same thing. */
struct number_pair {
    uint64_t theirs, ours;
    bool is_once; /* over when it has come */
};
struct number_pairs {
    VEC(struct number_pair) items;
};

/* What most actors do not have. */
struct proxy_numbers {
    struct number_pairs monitors, timers;
};

/* Who waits to be told that it runs. */
struct spawner {
    uint64_t id, request, supervisor;
    uint64_t monitor; /* 0: none */
    bool link;
};

struct proxy {
    struct host *host;
    const struct actor_child_spec *spec;
    struct process *process; /* NULL: none yet, or no more */
    struct list_node node;   /* of process->proxies */
    uint64_t id;             /* of its actor */
    uint32_t slot;
    enum proxy_state state;
    uint32_t first, last; /* its deliveries, in order; indexes of the process's pool */
    uint32_t open;        /* how many */
    uint32_t taken;       /* of these, asks that are answered later */
    uint32_t window;
    bool waits_for_buffer; /* paused: its process does not read fast enough */
    bool is_paused;
    bool is_state_refused; /* the last SNAPSHOT; who waits for what it belongs to has not been told */
    bool was_refusal_logged;
    uint32_t sent_while_muted;
    uint32_t requests; /* open asks */
    char *stop_reason;
    struct proxy_numbers *numbers; /* NULL: none yet */
    struct spawner *spawner;       /* NULL: nobody */
};

_Static_assert(sizeof(struct proxy) <= 128, "there may be very many actors");

struct delivery {
    uint64_t number;         /* 0: free */
    struct message *message; /* NULL: a signal */
    struct proxy *proxy;
    uint8_t kind;            /* enum frame_kind */
    uint8_t entry;           /* enum page_entry, of deliveries_mark() */
    bool is_taken;           /* its handler has returned, and will answer later */
    uint32_t next, previous; /* of the proxy; next also of the free list */
    uint32_t method;         /* interned by the runtime */
};

/* ---- one worker process, or the script ---- */

enum process_state {
    PROCESS_WANTED,  /* the zygote is not ready */
    PROCESS_FORKING, /* the zygote was asked; no HELLO yet */
    PROCESS_RUNNING,
    PROCESS_DYING, /* its socket is closed; how it ended may still be told */
};

struct process_text {
    char *text;
    uint32_t method; /* of the runtime's table, as a method; 0: not looked up yet, or too long */
    uint32_t name;   /* the same as a name; 0 also: it is none */
    bool was_looked_up;
};

/* An ask of one of its actors, for CANCEL: of very many at once the oldest are not found any more. */
enum { RECENT_ASKS = 4096 };
struct recent_ask {
    uint64_t theirs, ours;
    uint32_t slot; /* of who asked */
};

struct process {
    struct list_node node; /* of host->processes */
    struct host *host;
    uint32_t number;
    struct zygote *zygote; /* that was asked for it; NULL: none yet, or it is gone */
    enum process_state state;
    enum actor_isolation isolation;
    char *group;         /* the unit of ACTOR_ISOLATION_GROUP */
    uint64_t generation; /* of the app */
    bool is_script;
    bool is_spare;     /* of no actor yet: host->spare */
    bool is_c;         /* of behaviors in C: no zygote has to do with it */
    bool takes_traces; /* its package knows TRACED_EXT */
    bool was_told_to_end;
    bool is_hostile;   /* it broke the protocol: nothing of it counts any more */
    bool was_welcomed; /* it ran before it began to die */
    bool is_orphan;    /* its zygote is gone: nobody will tell how it ended */
    bool
        others_are_free; /* it was killed because of one actor, which has ended already, or with its zygote */
    bool has_started_one;      /* an actor: its death is no failed start any more */
    char killed[REASON_BYTES]; /* why the node killed it */
    pid_t pid;
    int pid_fd;
    bool has_status;
    int status;
    int64_t deadline_ns; /* of HELLO, or of the wait for its status */

    struct watched socket, output; /* output: its stdout and stderr */
    struct watched exit;           /* of a child of ours: of behaviors in C */
    struct page page;
    struct str output_line;

    uint8_t *in;
    size_t in_begin, in_end, in_capacity;
    uint8_t *out;
    size_t out_begin, out_end, out_capacity;
    struct list_node dirty; /* of host->dirty: there is something to write */
    bool is_blocked;        /* waits for EPOLLOUT */
    bool is_full;
    struct buffers_port buffers;

    struct list proxies;
    uint32_t proxy_count;
    VEC(struct proxy *) slots; /* by slot - 1; NULL: nobody */
    VEC(uint32_t) free_slots;

    VEC(struct delivery) deliveries;
    uint32_t free_delivery;
    uint64_t delivery_count; /* ever: the upper part of the next number */

    struct recent_ask *recent_asks; /* by its number, modulo RECENT_ASKS; NULL: it never asked */

    VEC(uint32_t) told;    /* by the runtime's number: ours on this connection, 0: not told */
    VEC(uint32_t) told_by; /* by ours - 1: the runtime's */
    uint32_t next_text;
    VEC(struct process_text) texts; /* by their number - 1 */

    uint64_t stuck_since_ns; /* the handler whose stack was asked for, by its begin */
    int64_t stack_wanted_ns; /* 0: it was read */
    char last_line[160];     /* of its stdout and stderr: says why one did not start */
};

/* ---- the host ---- */

/* host_app with everything owned. */
struct app {
    char **paths, **preload;
    size_t path_count, preload_count;
    char *interpreter, *script;
    struct host_limits python, c;
};

static inline const struct host_limits *app_limits(const struct app *app, bool is_c)
{
    return is_c ? &app->c : &app->python;
}

enum zygote_state { ZYGOTE_STARTING, ZYGOTE_READY, ZYGOTE_OVER };

/* One for each app that processes run: a former one stays until its last process has ended. */
struct zygote {
    struct list_node node; /* of host->zygotes */
    struct host *host;
    enum zygote_state state;
    bool forks; /* else it executes workers anew */
    pid_t pid;
    uint32_t process_count; /* of its processes that are still known */
    struct watched socket, output, exit;
    struct str output_line;
    char last_line[160]; /* of what it wrote: says why it ended */
    int64_t deadline_ns;
};

enum { EVENTS_MAX = 64, RECENT_STACKS = 32, STACK_BYTES = 4096 };

struct recent_stack {
    uint64_t actor;
    char *stack;
};

struct host {
    struct actor_hosting hosting;
    char *system, *node;
    char *program; /* of worker processes for behaviors in C */
    uint64_t node_uid;
    struct worker *worker; /* NULL before the first poll and after the end */
    void (*script_ended)(void *ctx);
    void *ctx;

    int epoll_fd, event_fd;
    void *events;    /* struct epoll_event[EVENTS_MAX] */
    int event_count; /* that wait() got and poll() has not looked at yet */
    unsigned polls;

    struct buffers_account buffers;
    uint64_t snapshot_bytes_max; /* of all actors */
    struct closer closer;

    struct mutex lock;
    struct app *new_app GUARDED_BY(&lock);
    _Atomic bool has_new_app; /* relaxed: a hint, the lock orders */

    struct app *app;
    uint64_t generation;
    struct list zygotes;
    struct zygote *zygote; /* of the present app; NULL: none */
    char zygote_why[256];  /* the last one did not start, in words; "": it did */
    struct backoff zygote_backoff;
    int64_t zygote_not_before_ns;
    VEC(struct zygote *) zygote_garbage; /* as the other */
    struct list processes;
    uint32_t process_count, last_process;
    struct list dirty;
    VEC(struct process *) garbage; /* freed when no event can name them any more */
    struct process *script;
    struct process *spare; /* forked and greeted before it is wanted; NULL: none */
    struct backoff spare_backoff;
    int64_t spare_not_before_ns;
    struct recent_stack
        recent_stacks[RECENT_STACKS]; /* of actors that failed, or were executing when their process died */
    unsigned next_stack;
    uint64_t last_name;           /* of actors spawned without one */
    const struct proxy *spawning; /* whose SPAWN is at work; NULL: nobody's */
    struct timer timer;           /* runs while there is anything to look at */
    bool timer_runs;
    bool is_suspended;
    bool is_over;
    struct backoff start_backoff; /* processes that die before any actor ran in them */
    int64_t start_not_before_ns;
    uint64_t out_of_memory_kills; /* that the kernel counted */
    int64_t next_memory_look_ns;

    struct {
        _Atomic uint32_t actors, processes, spares, open, shared_files;
        _Atomic uint64_t started, lost, spares_started, deliveries, buffered, shared_bytes;
    } counters; /* relaxed: written by worker 0, read by others as numbers */
};

#define HOST_COUNT(counter, by)                                                                              \
    atomic_store_explicit(                                                                                   \
        &(counter), atomic_load_explicit(&(counter), memory_order_relaxed) + (by), memory_order_relaxed)

/* host.c */
int host_watch(struct host *host, struct watched *watched, uint32_t events, struct err *err);
void host_rewatch(struct host *host, struct watched *watched, uint32_t events);
void host_unwatch(struct host *host, struct watched *watched); /* and closes it */
void app_free(struct app *app);
/* What happens before anything else, be it a poll or the first actor. */
void host_attach(struct host *host, struct worker *worker);
bool host_take_app(struct host *host);

/* process.c: one connection */
struct process *process_new(struct host *host);
void process_free(struct process *process); /* no proxies left */
enum {
    HOST_REMOTE_FDS = 4
}; /* socket, page, trace, stdout and stderr; the first and last are to be closed */
int process_make_descriptors(struct process *process, int ret_remote[HOST_REMOTE_FDS], struct err *err);
void process_connect(struct process *process); /* its socket is watched from now on */
void process_remember_pid(struct process *process, pid_t pid);
void process_send_signal(struct process *process, int signal);
/* Ends it now; the node's own reason. */
void process_kill(struct process *process, const char *why);
/* Appends a frame; header->size is set here. */
void process_append(struct process *process, struct frame *header, const void *payload, size_t payload_size);
void process_append_text(struct process *process, struct frame *header, const char *text);
/* The number on this connection of a text of the runtime; tells it before. 0 stays 0. */
uint32_t process_text(struct process *process, uint32_t number);
void process_flush(struct process *process);
/* Everything that came, frame by frame; false when its socket is closed. */
bool process_read(struct process *process);
static inline size_t process_buffered(const struct process *process)
{
    return process->out_end - process->out_begin;
}

/* deliveries.c */
struct delivery *delivery_new(
    struct proxy *proxy, enum frame_kind kind, struct message *message, uint32_t method);
struct delivery *delivery_find(struct process *process, uint64_t number);
void delivery_free(struct process *process, struct delivery *delivery);
/* The number of the delivery of that ask; 0: it is not with the process. */
uint64_t delivery_of_ask(
    const struct histrio_context *ctx, const struct proxy *proxy, struct histrio_ref asker, uint64_t ask);
/* Notes which have begun. Returns whose was executing, first the one on the stack; NULL: nobody's. */
const struct proxy *deliveries_mark(struct process *process, const struct page_view *page);
/* All that are open of a proxy: those that have begun are answered, the others go back to its mailbox.
 * Returns how many had begun. */
unsigned deliveries_settle(
    struct histrio_context *ctx, struct proxy *proxy, const char *reason, const char *stack);
/* All are as if they had begun. */
void deliveries_lose(struct histrio_context *ctx, struct proxy *proxy, const char *reason);
/* The system goes: nobody is told. */
void deliveries_forget(struct host *host, struct proxy *proxy);

/* receive.c: frames from a process */
void receive_frame(struct process *process, const struct frame *frame, const uint8_t *payload);
/* A process that does not keep to the protocol: it is killed. */
__attribute__((format(printf, 2, 3))) void receive_violation(struct process *process, const char *fmt, ...);
/* By name or reference; nobody: it is no name. A text that was never told is a violation. */
struct histrio_ref receive_target(struct process *process, const struct frame *frame);
uint32_t receive_method(struct process *process, const struct frame *frame);

/* requests.c: what hosted actors ask the runtime for */
void request_handle(
    struct histrio_context *ctx, struct proxy *proxy, const struct frame *frame, const uint8_t *payload);
void request_answer(struct process *process, uint32_t slot, uint64_t number, const void *value, size_t size);
void request_fail(
    struct process *process, uint32_t slot, uint64_t number, enum histrio_error error, const char *text);
/* actor_hosting.cancel: tells its process. */
void request_cancelled(
    void *host, struct histrio_context *hosted, void *state, struct histrio_ref asker, uint64_t ask);
/* Nobody waits for what the actor asked: it ends, or leaves its process. */
void requests_cancel_all(struct histrio_context *ctx, struct proxy *proxy);
/* Its numbers, made now if need be. */
struct proxy_numbers *proxy_numbers(struct proxy *proxy);
/* The process's number of what came; 0: it was canceled. */
uint64_t number_pairs_translate(struct number_pairs *pairs, uint64_t ours);
/* The same, the last time. */
uint64_t number_pairs_take(struct number_pairs *pairs, uint64_t ours);

/* spawn.c */
void spawn_handle(
    struct histrio_context *ctx, struct proxy *proxy, const struct frame *frame, const uint8_t *payload);
/* The actor that was spawned runs, or failed with that reason. */
void spawn_finished(struct histrio_context *ctx, struct proxy *proxy, const char *failure);

/* proxy.c */
/* "library.name", not "module:Class". */
static inline bool child_is_in_c(const struct actor_child_spec *spec)
{
    return !strchr(spec->behavior, ':');
}
extern const struct histrio_behavior host_proxy;
void proxy_exit(void *host, struct histrio_context *hosted, void *state, const char *reason);
/* The process can take it: START goes out. */
void proxy_start_in(struct proxy *proxy, struct process *process);
/* It left the process, which must not be told any more. */
void proxy_detach(struct proxy *proxy);
/* Something of it is over: it may get its next message. */
void proxy_went_on(struct histrio_context *ctx, struct proxy *proxy);
/* It ended by itself. */
void proxy_failed(
    struct histrio_context *ctx, struct proxy *proxy, const struct frame *frame, const uint8_t *payload);
void proxy_done(struct histrio_context *ctx, struct proxy *proxy, struct delivery *delivery);
void proxy_free_state(struct proxy *proxy);
/* Ends the actor, which has left its process; takes the tree along when nobody has seen it yet. */
void proxy_end(struct histrio_context *ctx, struct proxy *proxy, const char *reason, bool is_free);

/* processes.c: which process an actor gets */
/* False: it cannot run, and why. */
bool processes_place(
    struct host *host, struct histrio_context *ctx, struct proxy *proxy, char *ret_why, size_t size);
void processes_go_on(struct host *host); /* asks the zygote for those that are wanted, and for a spare one */
void processes_hello(struct process *process);
/* One of its actors is gone. */
void processes_left(struct process *process);
void processes_configured(struct host *host);
/* The spare one ended by itself: another is made, not at once. */
void processes_lose_spare(struct process *process);
/* None can be started: those that wait for one end. */
void processes_refuse(struct host *host, const char *why);
struct process *processes_find(struct host *host, uint32_t number);
void processes_forget(struct process *process);
void processes_script(struct host *host, int fd);

/* death.c */
/* The stack of an incarnation that was executing when its process died, not long ago; "": there is none. */
const char *death_stack(const struct host *host, uint64_t actor);
/* For death_stack(), before the actor ends; longer ones are cut. */
void death_remember_stack(struct host *host, uint64_t actor, const char *stack, size_t size);
void death_closed(struct process *process);
void death_told(struct process *process, int status);
/* Of one that is dying: how long its end is waited for. */
void death_look(struct process *process, int64_t now_ns);
void death_settle(struct process *process);

/* cprocess.c: processes for behaviors in C */
int cprocess_start(struct process *process, const int remote[HOST_REMOTE_FDS], struct err *err);
void cprocess_done(struct process *process);
/* What it left in its trace, of TRACE_BYTES + 1; functions that only the file of a library knows have names.
 */
void trace_read(const struct process *process, char *ret_trace);

/* zygote.c */
void zygote_want(struct host *host); /* sees to it that the present app has one, when its time has come */
int zygote_fork(
    struct zygote *zygote, const struct process *process, const int remote[HOST_REMOTE_FDS], struct err *err);
void zygote_release(struct process *process); /* is not its process any more */
void zygote_retire(struct host *host);        /* the app is another one now */
void zygote_end_all(struct host *host);
void zygote_empty_garbage(struct host *host);
void zygote_look(struct host *host, int64_t now_ns);

/* interpreter.c: a zygote's program, with the socket as its descriptor 3 */
enum { INTERPRETER_FD = 3 };
int interpreter_start(const char *interpreter, int socket, int output, pid_t *ret_pid, struct err *err);

/* looks.c */
void looks_start(struct host *host);
void looks_fire(struct worker *worker, struct timer *timer);
void looks_limit_memory(struct process *process);
uint64_t looks_out_of_memory_kills(void); /* that the kernel did to our control group */
uint64_t looks_memory_max(void);          /* that we may use: our control group's, or the machine's */

/* output.c: lines of processes become lines of the log */
void output_frame(struct process *process, const struct frame *frame, const uint8_t *payload);
/* Reads what there is; each whole line goes to `line`. False when it is closed. */
bool output_read(int fd, struct str *rest, void (*line)(void *ctx, const char *text), void *ctx);
void output_ready(struct host *host, struct watched *watched, uint32_t events);

#endif
