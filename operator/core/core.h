/* The core: one ActorSystem as a state machine. Events come in, core_plan() says what to do now; no I/O, no
 * clock, no globals. The same code runs in `histrio run`, in the Kubernetes operator and in the simulator.
 *
 * Use, on one thread:
 *     core_set_time(core, ...);        before events and before core_plan
 *     core_node_connected(core, ...);  any number of events
 *     core_plan(core, &plan);          perform plan.actions in order, report what they bring as events; plan
 *                                      again after events, when plan.has_more, or at plan.wake_at_ms
 *
 * Rules in force (docs/failure-model.md): R0 the term is raised in the fence record before the first command,
 * and above any that a node reports; R1 epochs only grow; R6 by proof: a uid is dead when its process was
 * reaped, and is written down before its units go elsewhere; by assertion: when somebody says that it is gone
 * and no echo was given to it for the longest TTL in force and a tenth more; R8 a unit goes elsewhere only
 * when its target said that it does not hold it, or is dead; R9 nothing unreported is placed before every
 * roster node has reported; R10 rosters change by one node at a time.
 *
 * Owner: arguments of events are borrowed for the call. Actions point into the core and are valid until the
 * next call of any function of the core that is not const. Wrong events (unknown uids, old epochs, ...) are
 * ignored. */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core;
struct err;
struct fence_record;
struct json;
struct label_list;
struct roster;
struct status;
struct system_spec;
struct unit_spec;

enum {
    CORE_ACTIONS_MAX = 512,      /* of one plan */
    CORE_EXITS_MAX = 1000,       /* kept for the status */
    CORE_INITIAL_WAIT_MS = 3000, /* after the first node is there, for all others, before the first placement
                                    goes without them */
};

struct core_options {
    const char
        *system_uid;  /* a run's own random text; a record with another one gives only term and serial */
    uint64_t seed;    /* of backoff's random part */
    bool cannot_kill; /* a forced deletion proves nothing (Kubernetes: it removes the object only), so it is
                         planned only for nodes whose runtimes are known dead */
};

/* record NULL: there was none. The spec is referenced. */
struct core *core_new(
    const struct core_options *options, struct system_spec *spec, const struct fence_record *record);
void core_free(struct core *core);

/* Time never goes back; wall_ms is for people only. */
void core_set_time(struct core *core, int64_t monotonic_ms, int64_t wall_ms);

/* ---- events: what the user wants ---- */

/* Live: replicas, update, supervision, placement, failure, and mailbox for units that start from then on.
 * Units of which unit_spec.generation changed are restarted. Name, keyed and shards: refused with an event.
 */
void core_spec_changed(struct core *core, struct system_spec *spec);
/* What nodes are to be made from (image, resources, podTemplate, code). Nodes with another hash are replaced
 * one by one, as spec.nodes.update says. NULL or "": no node is ever outdated. */
void core_template_changed(struct core *core, const char *template_hash);
/* No node is made while that holds; reason (one word, "PreviousPodsTerminating") and text are shown. NULL: it
 * ended. */
void core_nodes_blocked(struct core *core, const char *reason, const char *text);
/* Ends the quarantine or the pause of a unit that ended. ERR_NOT_FOUND: no such unit; ERR_INVALID: it is
 * neither. */
int core_resume(struct core *core, const char *unit, struct err *err);
/* No unit goes to a cordoned node; those that are there stay. Kept in the fence record. ERR_NOT_FOUND. */
int core_cordon(struct core *core, const char *node, bool is_cordoned, struct err *err);
/* The node's units leave, then it is deleted and another one made. false takes it back, until the deletion is
 * under way. Not kept: a new leader is told again. ERR_NOT_FOUND. */
int core_drain(struct core *core, const char *node, bool is_drained, struct err *err);
/* The unit goes to that node, once; nothing when it is there, or on its way. Not kept: whoever wants it to
 * outlive a leader asks core_is_moving, and tells the next one. ERR_NOT_FOUND: no such unit or node;
 * ERR_INVALID: the unit does not run, or the node must not have it (the text names the filters). */
int core_move(struct core *core, const char *unit, const char *node, struct err *err);
/* Is such a move under way? It ends on the node, or with an event MoveGivenUp when the node cannot have it
 * any more. */
bool core_is_moving(const struct core *core, const char *unit);
/* A person's assertion that the node is gone; see core_node_asserted. ERR_NOT_FOUND; ERR_INVALID: it is
 * connected. */
int core_forget(struct core *core, const char *node, struct err *err);
/* Stops everything: drain, then delete; the plan ends with CORE_STOPPED. drain_timeout_ms 0: the manifest's.
 * Called again: at once, without draining. */
void core_stop(struct core *core, int64_t drain_timeout_ms);

/* ---- events: the fence record ---- */

/* The write of that number is durable. */
void core_fence_written(struct core *core, uint64_t write);
/* It failed and may be tried again (disk full): the core asks again after a second. text for the status. */
void core_fence_failed(struct core *core, uint64_t write, const char *text);
/* Somebody else wrote: this leader is over. The plan then has only CORE_LOST. */
void core_fence_conflict(struct core *core, uint64_t write);

/* ---- events: the driver ---- */

/* How a runtime process ended, and whose code was executing, as its crash record said. */
struct core_node_exit {
    int exit_code; /* when signal is 0 */
    int signal;
    const char *unit;      /* NULL or "": unknown */
    const char *actor;     /* the same */
    const char *backtrace; /* the same */
    const char *cause;     /* the same: one word of who ended it, "OOMKilled" */
};

/* What a driver sees of a node from outside. Texts NULL or "": not known (yet). */
struct core_node_facts {
    const char *node;
    const char *pod_uid;
    const char *kube_node;
    const char *zone;
    const char *template_hash;            /* what it was made from: the action's when it was created */
    const struct label_list *kube_labels; /* of its KubeNode, for kubeNodeSelector; NULL: none; copied */
    int32_t index;                        /* the action's when it was created; -1: not known */
    bool is_ending;  /* somebody deletes it already: its units leave while they can, and it is replaced */
    bool is_unready; /* clients are not sent there (yet): its Pod is not Ready */
};
/* The node exists; its hello will bring the uid. Told for every node that a new leader's driver finds, for
 * nodes that appear, and again whenever a fact changes; the same facts again are no news. */
void core_node_found(struct core *core, const struct core_node_facts *facts);
/* All that exist were told: those of the roster that were not are asserted to be gone. Once, before the first
 * plan, by drivers whose nodes outlive a leader. */
void core_nodes_listed(struct core *core);
/* Why a node is not well, as far as can be seen from outside ("ImagePullBackOff", "Unschedulable",
 * "OOMKilled"); reason NULL: nothing any more. Not for what belongs to any start. Shown with the node and,
 * while it is not ready, in the conditions. */
void core_node_condition(struct core *core, const char *node, const char *reason, const char *message);
/* The control side gave that uid an echo at that monotonic time (of core_set_time's clock). Told before its
 * core_node_disconnected; while it is connected, and where nothing was told, echoes count as given until now.
 */
void core_node_echoed(struct core *core, uint64_t uid, int64_t at_ms);
/* Assertion (R6): somebody says, without proof, that the node is gone for good (why, a sentence: "its
 * KubeNode was deleted"; NULL: not so any more). Ignored while it is connected; its units go elsewhere when
 * no echo was given to it for the longest TTL in force and a tenth more. is_removed: nothing is left to
 * delete either. */
void core_node_asserted(struct core *core, const char *node, const char *why, bool is_removed);
/* The node ended for good (its parent, too: proof), but something is left of it, a finished Pod: that is
 * deleted when the proof is durable. how NULL: it ended as asked. text: why, or NULL. */
void core_node_ended(struct core *core, const char *node, const struct core_node_exit *how, const char *text);
/* A runtime of the node began. Also told by a new leader's driver for every node whose uid it knows. */
void core_node_started(struct core *core, const char *node, uint64_t uid, int64_t pid);
/* It ended and was reaped: proof. Its parent starts another by itself. */
void core_node_exited(struct core *core, const char *node, uint64_t uid, const struct core_node_exit *how);
/* Nothing is left of the node: it and its parent ended and were reaped, or it never could start (text says
 * why; NULL: as asked): proof for all its uids, unless core_node_asserted was told with is_removed. The core
 * makes another when it wants one. exit_code 78: its configuration is bad. */
void core_node_gone(struct core *core, const char *node, int exit_code, const char *text);

/* ---- events: Control streams (control.proto) ---- */

struct core_hello {
    const char *node;
    uint64_t uid;
    const char *pod_uid;
    const char *kube_node; /* "": none */
    const char *zone;      /* "": none */
    const char *link_address;
    const char *gateway_address;
    uint32_t cores;
    uint64_t memory_bytes;
    uint32_t term;                /* the highest that the node knows; 0: none */
    const uint64_t *earlier_uids; /* proven dead by this hello: lives before the previous one as well */
    size_t earlier_count;
    uint64_t previous_uid; /* 0: the first life */
    struct core_node_exit previous;
};

enum core_unit_state {
    CORE_UNIT_STARTING,
    CORE_UNIT_RUNNING,
    CORE_UNIT_STOPPING,
    CORE_UNIT_FAILED,
    CORE_UNIT_STOPPED
};

struct core_held_actor {
    const char *path;
    uint64_t incarnation;
    const char *state;
    uint32_t mailbox_depth;
    const char *last_exit_reason;
    int64_t last_exit_at_ms;
    const char *behavior;
};

struct core_held_unit {
    const char *unit;
    uint64_t epoch;
    int64_t generation;
    enum core_unit_state state;
    const char *reason;
    const struct core_held_actor *actors;
    size_t actor_count;
};

struct core_seen_epoch {
    const char *unit;
    uint64_t epoch;
};

struct core_inventory {
    bool is_full;
    uint64_t roster_version;
    uint64_t route_version;
    const struct core_held_unit *units;
    size_t unit_count;
    const struct core_seen_epoch *seen;
    size_t seen_count;
};

/* In the order of control.proto's RefusalReason. */
enum core_refusal {
    CORE_REFUSAL_NONE,
    CORE_REFUSAL_OLD_TERM,
    CORE_REFUSAL_OLD_EPOCH,
    CORE_REFUSAL_NO_LEASE,
    CORE_REFUSAL_WRONG_UID,
    CORE_REFUSAL_START_FAILED,
    CORE_REFUSAL_BAD_SPEC,
    CORE_REFUSAL_STRANGE_TERM,
    CORE_REFUSAL_DRAINING,
    CORE_REFUSAL_STORE_CLAIM,
};

struct core_exit {
    const char *actor;
    const char *unit;
    uint64_t epoch;
    uint64_t incarnation;
    const char *reason;
    int64_t at_ms;
    const char *decision;
    const char *cause;
    bool unit_gave_up;
};

struct core_load {
    uint32_t actors;
    uint64_t mailbox_depth;
    uint64_t messages;
    uint64_t restarts;
    uint64_t dead_letters;
    uint32_t busy_permille;
    uint64_t memory_bytes;
};

/* Hello was accepted on both sides. No echo may be given to the uid before something is sent to it
 * (CORE_SEND_DEAD does not count: it is what a uid gets that is declared dead and comes back). Each
 * connection of a uid is a new beginning: configuration, inventory, roster and routes are sent again. */
void core_node_connected(struct core *core, const struct core_hello *hello);
void core_node_disconnected(struct core *core, uint64_t uid);
void core_node_inventory(struct core *core, uint64_t uid, const struct core_inventory *inventory);
void core_node_assigned(struct core *core, uint64_t uid, const char *unit, uint64_t epoch,
    enum core_refusal refusal, uint64_t seen_epoch, const char *reason);
void core_node_revoked(struct core *core, uint64_t uid, const char *unit, uint64_t epoch,
    enum core_refusal refusal, uint64_t seen_epoch);
void core_node_exits(
    struct core *core, uint64_t uid, const struct core_exit *exits, size_t count, uint64_t lost);
void core_node_load(struct core *core, uint64_t uid, const struct core_load *load);
void core_node_acknowledged(
    struct core *core, uint64_t uid, uint64_t roster_version, uint64_t route_version, int64_t generation);
void core_node_drained(struct core *core, uint64_t uid);
/* The node refused a command, or (reason CORE_REFUSAL_NONE) any message of it names a term above core_term().
 * highest_term is what it knows. */
void core_node_refused(
    struct core *core, uint64_t uid, enum core_refusal reason, uint32_t highest_term, const char *text);

/* ---- what to do ---- */

enum core_action_kind {
    CORE_WRITE_FENCE, /* record, write: answer with core_fence_written, _failed or _conflict. At most one at a
                         time */
    CORE_CREATE_NODE, /* node (a name never used before), index, template_hash: answer with core_node_started
                         or core_node_found, or core_node_gone when it cannot */
    CORE_DELETE_NODE, /* node, is_forced (kill; with cannot_kill: remove what is left): answer with
                         core_node_gone */
    CORE_SEND_CONFIGURATION, /* uid, generation; content: core_spec() */
    CORE_REQUEST_INVENTORY,  /* uid */
    CORE_SEND_ROSTER,        /* uid, roster, previous, dead, dead_count */
    CORE_SEND_ROUTES,        /* uid, routes, route_count, version, is_full */
    CORE_SEND_DEAD,          /* uid, dead, dead_count */
    CORE_ASSIGN,             /* uid, unit, epoch */
    CORE_REVOKE,             /* uid, unit_name, epoch; shutdown_ms 0: as the children say */
    CORE_DRAIN,              /* uid, timeout_ms */
    CORE_EVENT,              /* reason, text, is_warning, unit_name or node when it is about one */
    CORE_STATUS_CHANGED,     /* read core_status() when convenient */
    CORE_STOPPED,            /* core_stop() is done */
    CORE_LOST,               /* another leader took over: send nothing any more */
};

struct core_route {
    const char *unit;
    uint64_t epoch;
    uint64_t node_uid; /* 0: nowhere */
};

/* Fields that are not of its kind are 0. Everything sent to a node carries core_term(). */
struct core_action {
    enum core_action_kind kind;
    uint64_t uid;
    const char *node;
    const char *template_hash; /* NULL: none was told */
    uint32_t index;
    bool is_forced;
    bool is_full;
    bool is_warning;
    const struct unit_spec *unit;
    const char *unit_name;
    uint64_t epoch;
    uint32_t shutdown_ms;
    uint32_t timeout_ms;
    int64_t generation;
    uint64_t version;
    const struct core_route *routes;
    size_t route_count;
    const struct roster *roster;
    const struct roster *previous;
    const uint64_t *dead;
    size_t dead_count;
    uint64_t write;
    const struct fence_record *record;
    const char *reason;
    const char *text;
};

struct core_plan {
    const struct core_action *actions;
    size_t count;
    bool has_more;      /* the bound cut it: plan again at once */
    int64_t wake_at_ms; /* plan again then, even without events; INT64_MAX: never */
};

void core_plan(struct core *core, struct core_plan *ret_plan);

/* ---- reading ---- */

uint32_t core_term(const struct core *core);
struct system_spec *core_spec(const struct core *core);
/* The record as it should be; the last one that was confirmed may be older. */
const struct fence_record *core_fence_record(const struct core *core);
/* ret_status is overwritten; status_done() it. */
void core_status(const struct core *core, struct status *ret_status);
/* Why the unit is where it is: {"unit", "node", "epoch", "state", "rule", "reason", "placement": {...}}. The
 * caller frees it. NULL and ERR_NOT_FOUND: no such unit. */
struct json *core_explain(const struct core *core, const char *unit, struct err *err);

#endif
