/* node_control/control.h: the node's side of the operator's protocol: hello, lease, assignments, inventories,
 * exits, load and drain, on a gRPC loop of its own so that nothing that actors or peers do can delay a lease.
 * What it decides, the runtime does: actor_system_unit_start() and _stop(); what it is told of peers goes on
 * through struct node_control_peers.
 *
 * One operator is current: the one whose hello had the highest term; of the same term, the latest. It needs
 * no operator to drain. Thread: a function says; everything inside belongs to the loop's thread. */
#pragma once

#include "actor/system.h"
#include "node_control/command.h"
#include "node_control/life.h"

#include <stddef.h>
#include <stdint.h>

struct clock;
struct err;
struct loader_python;
struct loader_workers;
struct node_control;
struct rpc_creds;
struct rpc_loop;

/* Called on the loop's thread; borrowed arguments. */
struct node_control_peers {
    void (*set_roster)(void *ctx, const struct command_roster *roster);
    void (*set_routes)(void *ctx, const struct command_routes *routes);
    void (*set_dead)(void *ctx, const uint64_t *node_uids, size_t count);
    /* Before a unit's first actor starts, and after its last one ended. */
    void (*unit_held)(void *ctx, const char *unit, uint64_t epoch);
    void (*unit_released)(void *ctx, const char *unit, uint64_t epoch);
    void *ctx;
};

/* Each comes at most once, on the loop's thread. */
struct node_control_events {
    /* Everything has stopped (or the timeout passed) and the operator, if there is one, knows. */
    void (*drained)(void *ctx);
    /* The operator declared our uid dead: nothing may leave the process any more. Actors are suspended
     * already. */
    void (*fenced)(void *ctx);
    void *ctx;
};

/* Who hosts actors in worker processes. `configure` comes on the loop's thread when the system's code is
 * known, and again when it changes, before a unit of that configuration starts; its paths are real and inside
 * of the code folders. Without code in Python, or without words on processes for C, that argument is NULL.
 * NULL: this node hosts none. */
struct node_control_code {
    void (*configure)(void *ctx, const struct loader_python *python, const struct loader_workers *c_workers);
    void *ctx;
};

/* Everything is borrowed until node_control_free(). */
struct node_control_config {
    struct rpc_loop *loop;
    struct clock *clock;
    const char *system, *system_uid, *node_name, *pod_uid, *kube_node, *zone;
    const uint8_t *credential;
    size_t credential_size;
    struct rpc_creds *creds;         /* NULL: plaintext; else only the operator of system_uid is let in */
    const char *const *code_folders; /* absolute; libraries elsewhere are refused */
    size_t code_folder_count;
    const char *program;     /* of the node: loads each library once before we do */
    const struct life *life; /* our uid, and how the runtimes before us ended */
    unsigned worker_count;   /* that the runtime was started with; 0: cores */
    struct node_control_peers peers;
    struct node_control_code code;
    struct node_control_events events;
};

/* Any thread. Does not listen yet. */
int node_control_new(
    const struct node_control_config *config, struct node_control **ret_control, struct err *err);

/* For actor_system_config.events; valid as long as the control. */
struct actor_events node_control_actor_events(struct node_control *control);

/* Any thread but the loop's; once. `actors` must be freed before the control; the addresses are told to the
 * operator. */
int node_control_listen(struct node_control *control, const char *address, struct actor_system *actors,
    const char *link_address, const char *gateway_address, struct err *err);

/* Any thread. Why the node serves nobody now; NULL: it serves. Leases do not count: without an operator all
 * goes on. Follows within 200 ms. */
const char *node_control_not_ready(const struct node_control *control);

/* Where it listens, with the real port in place of 0; after node_control_listen(). Owned by the control. */
const char *node_control_address(const struct node_control *control);

/* Any thread. Stops all units; `drained` follows. */
void node_control_drain(struct node_control *control, uint32_t timeout_ms);

/* Any thread but the loop's. Closes the server and all streams; no callback comes afterwards. */
void node_control_close(struct node_control *control);
/* After node_control_close() and actor_system_free(): the runtime's events may come until then. NULL is fine.
 */
void node_control_free(struct node_control *control);
