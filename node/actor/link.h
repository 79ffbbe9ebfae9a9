/* Links, monitors and exit signals, on one worker, between workers and between nodes.
 *
 * Each end of a link and of a monitor is an entry at its actor; a signal that finds no entry is ignored. That
 * makes them exact: a DOWN or EXIT takes out the entry at its receiver, so a second one finds nothing, and an
 * unlink or demonitor that crosses with it wins. An unlink that crosses with the other side's link wins as
 * well: until it is acknowledged, a link from there is ignored, so that both ends always agree. Between
 * workers the signals are jobs in the same first-in-first-out channel as messages, so they keep a pair's
 * order.
 *
 * A monitor that lasts (link_watch_on(); MONITOR_LASTS in its number, so that all who see the number know)
 * goes with the held slot from incarnation to incarnation: ENDED and RESTARTED leave its entries, DOWN takes
 * them out. Each of the two tells the watcher's entry the id that the slot has next, so that a demonitor
 * finds it; one that has no entry any more withdraws once more.
 *
 * Thread: the worker that is given; actor is one of its actors. */
#ifndef ACTOR_LINK_H
#define ACTOR_LINK_H

#include "actor/worker.h"

void link_connect(struct worker *worker, struct actor *actor, struct histrio_ref to);
void link_disconnect(struct worker *worker, struct actor *actor, struct histrio_ref to);
uint64_t link_monitor(struct worker *worker, struct actor *actor, struct histrio_ref to);
#define MONITOR_LASTS (UINT64_C(1) << 63)
uint64_t link_watch_on(struct worker *worker, struct actor *actor, struct histrio_ref to);
/* A held actor runs again: whoever was told of its end is told so. */
void link_restarted(struct worker *worker, struct actor *actor);
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
struct link_peer *link_find(struct actor_ties *ties, struct histrio_ref ref, uint32_t name);
void link_down_arrived(struct worker *worker, struct actor *actor, uint64_t monitor, struct histrio_ref from,
    const char *reason);
void link_withdraw(struct worker *worker, const struct actor *actor, uint64_t id, struct link_peer peer);
/* What ENDED or RESTARTED say. text: the reason, and behind a line feed the stack. */
struct link_news {
    uint8_t kind; /* HISTRIO_ENDED, HISTRIO_RESTARTED */
    uint64_t monitor, incarnation;
    struct histrio_ref from; /* the slot's next id */
    const char *text;
};
/* False: the watcher cannot be reached any more. actor: of whom it tells. */
bool link_tell_news(struct worker *worker, const struct actor *actor, struct histrio_ref watcher,
    const struct link_news *news);
/* The same to another node. */
bool link_send_news(struct worker *worker, const struct actor *actor, struct histrio_ref watcher,
    const struct link_news *news);
/* At the worker of the watcher, whose id it is. False: it does not watch. */
bool link_news_arrived(struct worker *worker, uint64_t id, const struct link_news *news);
/* The same from another worker or node, where it was withdrawn from an earlier incarnation: it is once more.
 */
void link_news_came(struct worker *worker, uint64_t id, const struct link_news *news);
/* It may be watched with that monitor: it runs, or, for one that lasts, waits to be started again. */
static inline bool link_is_there(const struct actor *actor, uint64_t monitor)
{
    uint32_t flags = ACTOR_ALIVE | ((monitor & MONITOR_LASTS) != 0 ? ACTOR_HELD : 0u);
    return actor && (actor->flags & flags) != 0;
}
void link_add_watcher(
    struct worker *worker, struct actor *actor, struct histrio_ref watcher, uint64_t monitor);
/* Signals to another node; false when it could not be sent, with why in *ret_reason. */
bool link_send_remote(struct worker *worker, const struct actor *from, uint64_t from_id,
    struct histrio_ref to, enum actor_signal_kind kind, uint64_t monitor, const char *reason, bool by_link,
    uint64_t *ret_node, const char **ret_reason);

#endif
