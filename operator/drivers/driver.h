/* drivers/driver.h: whoever makes node processes for the operator: today `process` (posix_spawn on this
 * machine).
 *
 * A node is a process (the parent) in which runtimes live one after the other, each with a uid of its own.
 * The driver tells what it knows for certain: an exit of a runtime is proof of death in the sense of R6.
 *
 * Thread: one, the owner's. The owner polls `fd` for input and calls dispatch, which calls back with events;
 * create and remove never call back. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

enum driver_event_kind {
    DRIVER_RUNTIME_STARTED, /* node_uid and pid are set */
    DRIVER_RUNTIME_EXITED,  /* node_uid is dead: proof; how it ended and, when known, whose code was executing
                             */
    DRIVER_NODE_GONE,       /* the node process itself ended: no runtime will start there again; comes last */
};

/* Valid during the callback. Texts are never NULL. */
struct driver_event {
    enum driver_event_kind kind;
    const char *name; /* of the node */
    uint64_t node_uid;
    pid_t pid;
    int exit_code;
    int signal; /* 0: it exited */
    const char *unit;
    const char *actor;
    const char *backtrace;
};

struct driver_node {
    const char *name; /* "bank-nodes-0": a DNS label */
    const char *kube_node;
    const char *zone;
};

enum driver_removal {
    DRIVER_DRAIN, /* ask it to stop its units and to end */
    DRIVER_KILL,  /* end it now */
};

struct driver;

/* The vtable, first member of each kind of driver. */
struct driver {
    /* Starts a node of that name; ERR_CONFLICT when there is one. Strings are copied. */
    int (*create)(struct driver *driver, const struct driver_node *node, struct err *err);
    /* DRIVER_NODE_GONE follows when it has ended. ERR_NOT_FOUND: there is none (it is gone already). */
    int (*remove)(struct driver *driver, const char *name, enum driver_removal how, struct err *err);
    /* Where the node's Control service listens: "unix:/...". The caller frees it. */
    char *(*control_address)(struct driver *driver, const char *name);
    int (*fd)(struct driver *driver);
    void (*dispatch)(struct driver *driver);
    /* Kills what is left, waits for its end, and frees. */
    void (*free)(struct driver *driver);
};

typedef void (*driver_listener)(const struct driver_event *event, void *ctx);
