/* host/host.h: actors outside of the node's process. docs/host.md is the protocol and the reasons.
 *
 * A host belongs to one actor system: it is made before it, given to it by struct
 * actor_system_config.hosting, and freed after it. It starts and watches the worker processes; what happens
 * to actors is decided by their supervisors, as for any actor.
 *
 * Threads: everything runs on worker 0 of the system; host_configure() and host_counters() may be called by
 * any thread. */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <stddef.h>
#include <stdint.h>

/* The behavior of the actor that is the script's: the root of a unit. */
#define HOST_SCRIPT_BEHAVIOR "histrio:script"

struct actor_hosting;
struct err;
struct host;

struct host_config {
    const char *system; /* "bank": told to the processes */
    const char *node;
    uint64_t node_uid;
    const char
        *program; /* of processes for behaviors in C; NULL: histrio-host beside the program that runs */
    /* The socket of a program that called histrio.local(), -1 for none; the host owns it. Its end is told by
     * `script_ended`, on worker 0. */
    int script_fd;
    void (*script_ended)(void *ctx);
    void *ctx;
    uint64_t shared_bytes_max; /* of large data in messages that the node holds; 0: half of the memory */
    /* Of the states that actors keep for their next incarnations; 0: LIMIT_HOST_SNAPSHOT_BYTES, at most a
     * quarter of the memory. */
    uint64_t snapshot_bytes_max;
};

struct host_limits {
    unsigned workers;            /* processes that shared actors are spread over; 0: cores */
    uint32_t handler_timeout_ms; /* a handler that runs longer ends its process; 0: it is only logged */
    uint64_t memory_bytes_max;   /* of each process; 0: no limit */
};

/* What runs in worker processes: the code of one app. Copied where it is given. */
struct host_app {
    const char *const *paths; /* folders and archives for sys.path, in order */
    size_t path_count;
    const char *const *preload; /* modules that the zygote imports before it forks */
    size_t preload_count;
    unsigned workers;        /* this and two below: struct host_limits, of Python */
    const char *interpreter; /* NULL: "python3", looked for in PATH */
    const char *script;      /* file of the program that called histrio.local(); NULL: none */
    uint32_t handler_timeout_ms;
    uint64_t memory_bytes_max;
    const struct host_limits *c; /* of behaviors in C; NULL: the same */
};

struct host_counters {
    uint32_t actors;            /* hosted now */
    uint32_t processes;         /* alive, of actors */
    uint32_t spares;            /* forked in advance, of no actor yet */
    uint64_t spares_started;    /* ever */
    uint64_t processes_started; /* ever */
    uint64_t processes_lost;    /* ended without being told to */
    uint64_t deliveries;        /* messages and signals handed to processes */
    uint32_t deliveries_open;   /* of these, not over */
    uint64_t buffered_bytes;    /* not yet taken by the processes */
    uint64_t shared_bytes;      /* large data in messages that the node holds */
    uint32_t shared_files;      /* and in how many */
};

int host_new(const struct host_config *config, struct host **ret_host, struct err *err);
/* After the actor system. Ends all processes. */
void host_free(struct host *host);

/* For struct actor_system_config. Lives as long as the host. */
const struct actor_hosting *host_hosting(struct host *host);

/* The app, before any of its actors starts, and again when it changes: processes that start from then on use
 * the new one, present ones go on with the code that they have; a unit that is assigned again gets the new
 * code when no process of its isolation is left over from before. */
void host_configure(struct host *host, const struct host_app *app);

void host_counters(struct host *host, struct host_counters *ret_counters);

#endif
