/* node_control/control_private.h: the inside of struct node_control, for the files of this module only. All
 * of it belongs to the loop's thread, but for the two queues, which have locks of their own. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/role.h"
#include "node_control/assignments.h"
#include "node_control/changes.h"
#include "node_control/control.h"
#include "node_control/convert.h"
#include "node_control/exits.h"
#include "node_control/lease.h"
#include "node_control/loader.h"
#include "node_control/session.h"
#include "rpc/loop.h"
#include "rpc/server.h"

#include <stdatomic.h>

enum {
    INVENTORY_INTERVAL_MS = 100,  /* between two that changes ask for */
    INVENTORY_UNSETTLED_MS = 500, /* again, while an actor is between two states */
    INVENTORY_ROWS_MAX = 5000,    /* actors in one inventory */
    EXITS_INTERVAL_MS = 10,
    LOAD_INTERVAL_MS = 1000,
    LEASE_WAIT_MS = 1000,     /* that an assignment waits for the first echo */
    LIBRARY_WAIT_MS = 10000,  /* ... for the libraries */
    DRAIN_DEFAULT_MS = 10000, /* where the operator names no time */
    DRAIN_POLL_MS = 5,
    DRAIN_FLUSH_MS = 500, /* for the last messages to leave */
};

enum control_readiness { CONTROL_UNCONFIGURED, CONTROL_SERVES, CONTROL_DRAINS, CONTROL_IS_FENCED };

/* What is known of the system's libraries: `error` NULL is loaded. */
struct library_table {
    VEC(struct loader_library) items;
};

struct node_control {
    struct node_control_config config;
    struct convert_identity identity;
    struct actor_system *actors;
    struct rpc_server *server;
    struct list sessions;
    struct session *current; /* whose commands count; NULL: no operator */
    bool is_closing;
    char operator_name[ROLE_NAME_BYTES]; /* in the certificate of who may command */
    unsigned logged_refusals;            /* in this session: 1 << enum refusal */

    struct lease lease;
    bool was_held; /* lease at the last look, for the log */
    struct assignments assignments;
    int64_t waiting_since_ns; /* an assignment waits for lease or libraries; 0: none */

    struct loader *loader;
    struct library_table libraries;
    bool has_python;
    struct loader_python python;
    bool has_c_workers;
    struct loader_workers c_workers;
    struct loader_job queued_job; /* of a configuration that came while the loader was busy */
    bool has_queued_job;
    bool is_configured;
    int64_t configuration_generation; /* newest that came; acknowledged when its libraries are there */
    int64_t acknowledged_generation;
    uint64_t roster_version;
    uint64_t route_version;

    struct rpc_timer *lease_timer, *inventory_timer, *exits_timer, *load_timer, *drain_timer;
    bool is_inventory_due;
    int64_t inventory_sent_ns;
    struct exits exits;
    struct changes changes;

    bool is_draining, is_flushing, is_drained, is_fenced;
    int64_t drain_until_ns;
    atomic_int readiness; /* enum control_readiness, for other threads; relaxed: nothing hangs on it */
};

int64_t control_now_ns(const struct node_control *control);
struct convert_sender control_sender(const struct node_control *control);
/* To the current session; false without one, or when it does not take it. */
bool control_send_take(struct node_control *control, struct rpc_buffer *buffer, bool must_not_be_lost);

/* commands.c */
enum rpc_code control_hello(void *ctx, struct session *session, const struct command *command,
    const char **ret_text, struct rpc_buffer **ret_refused);
void control_command(void *ctx, struct session *session, struct command *command);
void control_session_ended(void *ctx, struct session *session, const char *text);

/* configuration.c */
void control_configure(struct node_control *control, const struct command_configuration *configuration);
void control_libraries_loaded(void *ctx, struct loader_job *job_take);
bool control_is_ready(const struct node_control *control); /* libraries are there */
/* ERR_NOT_FOUND with what is missing and where it was looked for. */
int control_check_behaviors(
    struct node_control *control, const struct actor_unit_spec *spec, struct err *err);

/* units.c */
enum assignment_lease control_lease_state(const struct node_control *control);
/* Performs the actions and ends the list. */
void control_perform(struct node_control *control, struct assignment_actions *actions);
void control_changes_waiting(void *ctx);
void control_advance_waiting(struct node_control *control); /* lease or libraries may have come, or be late */

/* publish.c */
void control_send_lease_request(struct node_control *control);
void control_inventory_changed(struct node_control *control, bool at_once);
void control_send_inventory(struct node_control *control);
void control_send_exits(struct node_control *control);
void control_send_load(struct node_control *control);
void control_exits_waiting(void *ctx);
void control_acknowledge(struct node_control *control);

/* drain.c */
void control_start_drain(struct node_control *control, uint32_t timeout_ms);
void control_check_drained(struct node_control *control);
void control_drain_timer(void *ctx);
