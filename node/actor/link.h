/* Links, monitors and exit signals, on one worker, between workers and between nodes.
 *
 * Each end of a link and of a monitor is an entry at its actor; a signal that finds no entry is ignored. That
 * makes them exact: a DOWN or EXIT takes out the entry at its receiver, so a second one finds nothing, and an
 * unlink or demonitor that crosses with it wins. An unlink that crosses with the other side's link wins as
 * well: until it is acknowledged, a link from there is ignored, so that both ends always agree. Between
 * workers the signals are jobs in the same first-in-first-out channel as messages, so they keep a pair's
 * order.
 *
 * Thread: the worker that is given; actor is one of its actors. */
#ifndef ACTOR_LINK_H
#define ACTOR_LINK_H

#include "actor/worker.h"

void link_connect(struct worker *worker, struct actor *actor, struct histrio_ref to);
void link_disconnect(struct worker *worker, struct actor *actor, struct histrio_ref to);
uint64_t link_monitor(struct worker *worker, struct actor *actor, struct histrio_ref to);
void link_demonitor(struct worker *worker, struct actor *actor, uint64_t monitor);

/* Both ends at once, for two actors of one worker: of a spawn. */
void link_pair(struct worker *worker, struct actor *left, struct actor *right);
uint64_t link_watch(struct worker *worker, struct actor *watcher, struct actor *watched);
/* Undoes the two without a signal: the start failed. */
void link_forget(struct worker *worker, struct actor *left, const struct actor *right);

/* histrio_exit() and what links do. `from` ends, or sends the signal. */
void link_send_exit(struct worker *worker, struct actor *from, struct histrio_ref to, const char *reason);
/* The actor ended: fires its links and the monitors on it, takes back its own monitors. id is that of the
 * incarnation. */
void link_fire_all(struct worker *worker, struct actor *actor, uint64_t id, const char *reason);

/* An exit signal has reached its actor. */
void link_exit_arrived(struct worker *worker, struct actor *actor, struct histrio_ref from,
    uint32_t from_name, const char *reason, bool by_link);

/* A signal from another node, and the death of one: jobs, made by actor_system_signal() and
 * actor_system_node_dead(). */
struct message *link_remote_message(const struct actor_signal *signal, uint64_t target);
void link_remote_arrived(struct worker *worker, struct message *message);
void link_node_dead(struct worker *worker, struct message *message); /* message->target: the uid */
void link_mark_remote(struct worker *worker, struct actor *actor);

/* Between the two files. */
void link_arrived(struct worker *worker, struct actor *actor, struct histrio_ref from, uint64_t node);
void link_unlink_acknowledged(struct actor *actor, struct histrio_ref from);
struct link_peer *link_find(struct actor_side *side, struct histrio_ref ref, uint32_t name);
void link_down_arrived(struct worker *worker, struct actor *actor, uint64_t monitor, struct histrio_ref from,
    const char *reason);
/* Signals to another node; false when it could not be sent, with why in *ret_reason. */
bool link_send_remote(struct worker *worker, const struct actor *from, uint64_t from_id,
    struct histrio_ref to, enum actor_signal_kind kind, uint64_t monitor, const char *reason, bool by_link,
    uint64_t *ret_node, const char **ret_reason);

#endif
