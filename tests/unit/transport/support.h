/* A node of which only the transport is real: what comes in is recorded. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mutex.h"
#include "base/vec.h"
#include "transport/transport.h"

struct heard {
    enum actor_envelope_kind kind;
    enum histrio_error error;
    struct histrio_ref sender, target;
    uint64_t ask;
    uint32_t remaining_ms;
    const char *name, *type; /* live for ever; "": none */
    uint64_t number;         /* the value's first bytes, when it has 8 */
    size_t size;
};

struct heard_signal {
    enum actor_signal_kind kind;
    uint64_t monitor;
    uint64_t ask;          /* of SIGNAL_CANCEL */
    size_t after_messages; /* how many messages had come by then */
    bool from_peer;
};

struct fake_node {
    uint64_t uid;
    char name[16], address[128];
    struct rpc_loop *loop;
    struct rpc_server *server;
    struct transport *transport;
    struct actor_outbound out;
    struct mutex lock;
    struct condition changed;
    VEC(struct heard) heard;
    VEC(struct heard_signal) signals;
    VEC(uint64_t) dead;
    unsigned lifts;
    bool answers;                               /* asks are answered at once, with their number */
    bool (*is_pressed)(struct fake_node *node); /* NULL: never */
};

struct fakes {
    char folder[64];
    struct fake_node nodes[3];
    size_t count;
};

/* Nodes 1, 2, 3, who know each other. `config` may be NULL; its names and uids are filled in. Nobody is
 * unreachable for being slow to connect, unless it says so. */
void fakes_start(struct fakes *fakes, size_t count, const struct transport_config *config);
void fakes_stop(struct fakes *fakes);
/* Stops the server of a node with all its streams, and starts it anew. */
void fake_restart_server(struct fake_node *node);
void fake_listen(struct fake_node *node); /* after its server was freed */
/* Places a unit everywhere; its node holds it. */
void fakes_place(struct fakes *fakes, const char *unit, uint64_t epoch, struct fake_node *node);

/* What actor `sender` of the node says to a name. */
enum histrio_error fake_tell(
    struct fake_node *node, uint64_t sender, const char *name, uint64_t number, bool *ret_pressure);
enum histrio_error fake_ask(
    struct fake_node *node, uint64_t sender, const char *name, uint64_t ask, uint32_t timeout_ms);
/* For one wait: far beyond what a sanitizer on a busy machine needs; only a failing test waits so long. */
int64_t patience_deadline_ns(void);
/* Waits until that many were heard. */
void fake_wait_heard(struct fake_node *node, size_t count);
size_t fake_heard(struct fake_node *node);
/* Waits for a condition on counters, without sleeping in a loop longer than needed. */
void wait_until(bool (*is_true)(void *ctx), void *ctx);
void fakes_wait_connected(struct fakes *fakes);
