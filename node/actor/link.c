#include "actor/link.h"

#include "actor/life.h"
#include "actor/send.h"
#include "actor/system_private.h"

#include <stdlib.h>

static struct histrio_ref own_ref(const struct worker *worker, uint64_t id)
{
    return (struct histrio_ref){worker->node_uid, id};
}

/* A name of this node becomes the present incarnation. */
static struct histrio_ref link_resolve(const struct worker *worker, struct histrio_ref ref)
{
    if (ref.node != 0)
        return ref;
    uint64_t id = names_present(&worker->system->names, (uint32_t)ref.id);
    return id ? own_ref(worker, id) : ref;
}

struct link_peer *link_find(struct actor_ties *ties, struct histrio_ref ref, uint32_t name)
{
    vec_for_each (peer, &ties->links) {
        if (histrio_ref_equal(peer->ref, ref) || (name != 0 && peer->ref.node == 0 && peer->ref.id == name))
            return peer;
    }
    return NULL;
}

#define remove_peer(list, peer) vec_remove_swap(list, (size_t)((peer) - (list)->items))

static bool link_add(struct worker *worker, struct actor *actor, struct histrio_ref ref, uint64_t node)
{
    struct actor_ties *ties = actor_ties(worker, actor);
    if (link_find(ties, ref, 0))
        return false;
    vec_push(&ties->links, ((struct link_peer){.ref = ref, .node = node}));
    return true;
}

static bool link_take_out(struct actor *actor, struct histrio_ref ref, uint32_t name)
{
    if (!actor->ties)
        return false;
    struct link_peer *peer = link_find(actor->ties, ref, name);
    if (!peer)
        return false;
    remove_peer(&actor->ties->links, peer);
    return true;
}

/* ---- unlinks that are on their way ---- */

static struct link_peer *find_unlinking(struct actor *actor, struct histrio_ref ref)
{
    if (!actor->ties)
        return NULL;
    vec_for_each (peer, &actor->ties->unlinking) {
        if (histrio_ref_equal(peer->ref, ref))
            return peer;
    }
    return NULL;
}

static void unlink_sent(struct worker *worker, struct actor *actor, struct histrio_ref ref)
{
    struct link_peer *peer = find_unlinking(actor, ref);
    if (peer)
        peer->monitor++;
    else
        vec_push(&actor_ties(worker, actor)->unlinking,
            ((struct link_peer){.ref = ref, .node = ref.node, .monitor = 1}));
}

void link_unlink_acknowledged(struct actor *actor, struct histrio_ref from)
{
    struct link_peer *peer = find_unlinking(actor, from);
    if (peer && --peer->monitor == 0)
        remove_peer(&actor->ties->unlinking, peer);
}

void link_arrived(struct worker *worker, struct actor *actor, struct histrio_ref from, uint64_t node)
{
    if (!find_unlinking(actor, from))
        (void)link_add(worker, actor, from, node); /* twice is once */
}

/* ---- signals that arrive ---- */

static bool link_ends_hosted(
    const struct actor *actor, struct histrio_ref from, const char *reason, bool is_own)
{
    if ((actor->flags & ACTOR_PARENT_ENDS) != 0 && histrio_ref_equal(from, actor->parent))
        return true;
    return (actor->flags & ACTOR_TRAPS) == 0 && (is_own || strcmp(reason, "normal") != 0);
}

static void link_end_hosted(struct worker *worker, struct actor *actor, const char *reason)
{
    const struct actor_hosting *hosting = worker->system->config.hosting;
    struct histrio_context ctx = {.worker = worker, .actor = actor};
    if ((actor->flags & (ACTOR_EXITING | ACTOR_ENDING)) == 0)
        hosting->exit(hosting->ctx, &ctx, actor->state, reason);
}

void link_exit_arrived(struct worker *worker, struct actor *actor, struct histrio_ref from,
    uint32_t from_name, const char *reason, bool by_link)
{
    if ((actor->flags & (ACTOR_ALIVE | ACTOR_UNMUTABLE)) != ACTOR_ALIVE)
        return; /* of the runtime itself: nobody's to end */
    if (from.id == 0 && from_name != 0)
        from = (struct histrio_ref){0, from_name}; /* nobody there has the name that we linked to */
    if (by_link && !link_take_out(actor, from, from_name))
        return; /* unlinked meanwhile */
    bool is_own = from.node == worker->node_uid && from.id == actor_id(actor);
    if (!by_link && strcmp(reason, "kill") == 0)
        life_end_later(worker, actor, "killed");
    else if ((actor->flags & ACTOR_HOSTED) != 0 && link_ends_hosted(actor, from, reason, is_own))
        link_end_hosted(worker, actor, reason);
    else if ((actor->flags & ACTOR_TRAPS) != 0)
        send_notice(worker, actor, HISTRIO_EXIT, 0, from, reason);
    else if (strcmp(reason, "normal") != 0 || is_own)
        life_end_later(worker, actor, reason);
}

void link_down_arrived(
    struct worker *worker, struct actor *actor, uint64_t monitor, struct histrio_ref from, const char *reason)
{
    if (!actor->ties || (actor->flags & ACTOR_ALIVE) == 0)
        return;
    vec_for_each (peer, &actor->ties->watching) {
        if (peer->monitor != monitor)
            continue;
        if (!SIM_MUTANT(MUTANT_DOUBLE_DOWN) || !rng_one_in(&worker->rng, 8))
            remove_peer(&actor->ties->watching, peer);
        else
            send_notice(worker, actor, HISTRIO_DOWN, monitor, from, reason);
        send_notice(worker, actor, HISTRIO_DOWN, monitor, from, reason);
        return;
    }
}

/* ---- signals between workers: target, sender, reference and a text as arguments ---- */

static struct message *job_new(
    struct worker *worker, uint64_t target, uint64_t sender, uint64_t reference, const char *text)
{
    struct message *message = message_new(worker, sizeof(reference) + strlen(text) + 1);
    message->target = target;
    message->sender = sender;
    memcpy(message->data, &reference, sizeof(reference));
    memcpy(message->data + sizeof(reference), text, strlen(text) + 1);
    return message;
}

static uint64_t job_reference(const struct message *message)
{
    uint64_t reference;
    memcpy(&reference, message->data, sizeof(reference));
    return reference;
}

static const char *job_text(const struct message *message)
{
    return (const char *)message->data + sizeof(uint64_t);
}

static struct actor *job_actor(const struct worker *worker, const struct message *message)
{
    struct actor *actor = registry_find(worker, message->target);
    return actor && (actor->flags & ACTOR_ALIVE) != 0 ? actor : NULL;
}

static void exit_job(struct worker *worker, struct message *message)
{
    struct actor *actor = job_actor(worker, message);
    if (actor)
        link_exit_arrived(worker, actor, own_ref(worker, message->sender), 0, job_text(message),
            job_reference(message) != 0);
}

static void down_job(struct worker *worker, struct message *message)
{
    struct actor *actor = job_actor(worker, message);
    if (actor)
        link_down_arrived(
            worker, actor, job_reference(message), own_ref(worker, message->sender), job_text(message));
}

static void link_job(struct worker *worker, struct message *message)
{
    struct actor *actor = job_actor(worker, message);
    if (actor)
        link_arrived(worker, actor, own_ref(worker, message->sender), worker->node_uid);
    else
        send_job(worker, id_worker(message->sender),
            job_new(worker, message->sender, message->target, 1, "noproc"), exit_job);
}

static void acknowledge_job(struct worker *worker, struct message *message)
{
    struct actor *actor = job_actor(worker, message);
    if (actor)
        link_unlink_acknowledged(actor, own_ref(worker, message->sender));
}

static void unlink_job(struct worker *worker, struct message *message)
{
    struct actor *actor = job_actor(worker, message);
    if (actor)
        (void)link_take_out(actor, own_ref(worker, message->sender), 0); /* it may have fired already */
    send_job(worker, id_worker(message->sender), job_new(worker, message->sender, message->target, 0, ""),
        acknowledge_job);
}

void link_add_watcher(
    struct worker *worker, struct actor *actor, struct histrio_ref watcher, uint64_t monitor)
{
    if ((actor->flags & ACTOR_HELD) != 0 && !actor_ties(worker, actor)->cause)
        actor_ties(worker, actor)->cause = xstrdup(""); /* nobody was there to be told */
    vec_push(&actor_ties(worker, actor)->watchers,
        ((struct link_peer){.ref = watcher, .node = watcher.node, .monitor = monitor}));
}

static void monitor_job(struct worker *worker, struct message *message)
{
    if ((message->target & TARGET_NAME) != 0) /* of one that lasts: whoever has it now */
        message->target = names_present(&worker->system->names, (uint32_t)message->target);
    struct actor *actor = message->target ? registry_find(worker, message->target) : NULL;
    if (link_is_there(actor, job_reference(message)))
        link_add_watcher(worker, actor, own_ref(worker, message->sender), job_reference(message));
    else
        send_job(worker, id_worker(message->sender),
            job_new(worker, message->sender, message->target, job_reference(message), "noproc"), down_job);
}

/* Numbers of monitors are unique in their node only. */
static void remove_watcher(const struct worker *worker, struct actor *actor, uint64_t monitor)
{
    if (!actor->ties)
        return;
    vec_for_each (peer, &actor->ties->watchers) {
        if (peer->monitor == monitor && peer->ref.node == worker->node_uid) {
            remove_peer(&actor->ties->watchers, peer);
            return;
        }
    }
}

static void demonitor_job(struct worker *worker, struct message *message)
{
    struct actor *actor = registry_find(worker, message->target);
    if (link_is_there(actor, job_reference(message)))
        remove_watcher(worker, actor, job_reference(message));
}

/* Where a reference is: an actor of this worker that lives, another worker, another node. */
enum place { PLACE_HERE, PLACE_GONE, PLACE_WORKER, PLACE_NODE };

static enum place link_place(const struct worker *worker, struct histrio_ref ref, struct actor **ret_actor)
{
    if (ref.node != worker->node_uid)
        return histrio_ref_is_nobody(ref) ? PLACE_GONE : PLACE_NODE;
    if (id_worker(ref.id) != worker->number)
        return id_worker(ref.id) < worker->worker_count ? PLACE_WORKER : PLACE_GONE;
    *ret_actor = registry_find(worker, ref.id);
    return *ret_actor && ((*ret_actor)->flags & ACTOR_ALIVE) != 0 ? PLACE_HERE : PLACE_GONE;
}

/* Signals of one sender keep their order: after an exit signal that ends `other`, nobody links with it or
 * watches it any more, although it lives until its turn. */
static bool is_doomed(const struct actor *actor, const struct actor *other)
{
    return other != actor && (other->flags & ACTOR_EXITING) != 0;
}

/* ---- what actors ask for ---- */

void link_pair(struct worker *worker, struct actor *left, struct actor *right)
{
    link_add(worker, left, own_ref(worker, actor_id(right)), worker->node_uid);
    link_add(worker, right, own_ref(worker, actor_id(left)), worker->node_uid);
}

static uint64_t next_monitor(struct worker *worker)
{
    return ++worker->next_monitor << (32 - ID_SLOT_BITS) | worker->number;
}

static uint64_t watch_here(
    struct worker *worker, struct actor *watcher, struct actor *watched, uint64_t monitor)
{
    vec_push(&actor_ties(worker, watcher)->watching,
        ((struct link_peer){own_ref(worker, actor_id(watched)), worker->node_uid, monitor}));
    link_add_watcher(worker, watched, own_ref(worker, actor_id(watcher)), monitor);
    return monitor;
}

uint64_t link_watch(struct worker *worker, struct actor *watcher, struct actor *watched)
{
    return watch_here(worker, watcher, watched, next_monitor(worker));
}

void link_forget(struct worker *worker, struct actor *left, const struct actor *right)
{
    if (!left->ties)
        return;
    struct histrio_ref ref =
        own_ref(worker, actor_id(right)); /* an actor of another node may have the same id */
    for (size_t i = left->ties->links.count; i-- > 0;)
        if (histrio_ref_equal(left->ties->links.items[i].ref, ref))
            vec_remove_swap(&left->ties->links, i);
    for (size_t i = left->ties->watching.count; i-- > 0;)
        if (histrio_ref_equal(left->ties->watching.items[i].ref, ref))
            vec_remove_swap(&left->ties->watching, i);
    for (size_t i = left->ties->watchers.count; i-- > 0;)
        if (histrio_ref_equal(left->ties->watchers.items[i].ref, ref))
            vec_remove_swap(&left->ties->watchers, i);
}

void link_connect(struct worker *worker, struct actor *actor, struct histrio_ref to)
{
    struct histrio_ref ref = link_resolve(worker, to);
    struct actor *other = NULL;
    uint64_t node = ref.node;
    const char *why = "noproc";
    if (ref.node == worker->node_uid && ref.id == actor_id(actor))
        return;
    switch (link_place(worker, ref, &other)) {
    case PLACE_HERE:
        if (!is_doomed(actor, other))
            link_pair(worker, actor, other);
        else if (!actor->ties || !link_find(actor->ties, ref, 0))
            link_exit_arrived(worker, actor, ref, 0, why, false);
        return;
    case PLACE_GONE: link_exit_arrived(worker, actor, ref, 0, why, false); return;
    case PLACE_WORKER:
        if (link_add(worker, actor, ref, node))
            send_job(worker, id_worker(ref.id), job_new(worker, ref.id, actor_id(actor), 0, ""), link_job);
        return;
    case PLACE_NODE: break;
    }
    if (actor->ties && link_find(actor->ties, ref, 0))
        return;
    if (!link_send_remote(worker, actor, actor_id(actor), ref, SIGNAL_LINK, 0, NULL, false, &node, &why)) {
        link_exit_arrived(worker, actor, ref, 0, why, false);
        return;
    }
    link_add(worker, actor, ref, node);
    link_mark_remote(worker, actor);
}

void link_disconnect(struct worker *worker, struct actor *actor, struct histrio_ref to)
{
    struct histrio_ref ref = link_resolve(worker, to);
    struct actor *other = NULL;
    uint64_t node;
    const char *why;
    life_remove_notices(worker, actor, HISTRIO_EXIT, 0, ref);
    if (!link_take_out(actor, ref, 0))
        return;
    switch (link_place(worker, ref, &other)) {
    case PLACE_HERE: (void)link_take_out(other, own_ref(worker, actor_id(actor)), 0); break;
    case PLACE_GONE: break;
    case PLACE_WORKER:
        unlink_sent(worker, actor, ref);
        send_job(worker, id_worker(ref.id), job_new(worker, ref.id, actor_id(actor), 0, ""), unlink_job);
        break;
    case PLACE_NODE: /* when it cannot be sent, the other end finds no link with us later */
        if (link_send_remote(worker, actor, actor_id(actor), ref, SIGNAL_UNLINK, 0, NULL, false, &node, &why))
            unlink_sent(worker, actor, ref);
        break;
    }
}

static uint64_t monitor_by(
    struct worker *worker, struct actor *actor, struct histrio_ref to, uint64_t monitor)
{
    struct histrio_ref ref = link_resolve(worker, to);
    struct actor *other = NULL;
    uint64_t node = ref.node;
    const char *why = "noproc";
    enum place place = link_place(worker, ref, &other);
    if (place == PLACE_HERE && is_doomed(actor, other))
        place = PLACE_GONE;
    if (place == PLACE_HERE || ((monitor & MONITOR_LASTS) != 0 && link_is_there(other, monitor)))
        return watch_here(worker, actor, other, monitor);
    bool by_name = (monitor & MONITOR_LASTS) != 0 && to.node == 0;
    uint64_t target = by_name ? TARGET_NAME | to.id : ref.id;
    if (place == PLACE_WORKER)
        send_job(
            worker, id_worker(ref.id), job_new(worker, target, actor_id(actor), monitor, ""), monitor_job);
    else if (place == PLACE_GONE || !link_send_remote(worker, actor, actor_id(actor), ref, SIGNAL_MONITOR,
                                        monitor, NULL, false, &node, &why)) {
        send_notice(worker, actor, HISTRIO_DOWN, monitor, to, why);
        return monitor;
    }
    vec_push(&actor_ties(worker, actor)->watching, ((struct link_peer){ref, node, monitor}));
    if (place == PLACE_NODE)
        link_mark_remote(worker, actor);
    return monitor;
}

uint64_t link_monitor(struct worker *worker, struct actor *actor, struct histrio_ref to)
{
    return monitor_by(worker, actor, to, next_monitor(worker));
}

uint64_t link_watch_on(struct worker *worker, struct actor *actor, struct histrio_ref to)
{
    return monitor_by(worker, actor, to, next_monitor(worker) | MONITOR_LASTS);
}

void link_withdraw(struct worker *worker, const struct actor *actor, uint64_t id, struct link_peer peer)
{
    struct actor *other = NULL;
    uint64_t node;
    const char *why;
    switch (link_place(worker, peer.ref, &other)) {
    case PLACE_HERE: remove_watcher(worker, other, peer.monitor); break;
    case PLACE_GONE:
        if (link_is_there(other, peer.monitor))
            remove_watcher(worker, other, peer.monitor);
        break;
    case PLACE_WORKER:
        send_job(worker, id_worker(peer.ref.id), job_new(worker, peer.ref.id, id, peer.monitor, ""),
            demonitor_job);
        break;
    case PLACE_NODE: /* when it cannot be sent, a later DOWN finds nothing here */
        (void)link_send_remote(
            worker, actor, id, peer.ref, SIGNAL_DEMONITOR, peer.monitor, NULL, false, &node, &why);
        break;
    }
}

void link_demonitor(struct worker *worker, struct actor *actor, uint64_t monitor)
{
    if (actor->ties) {
        vec_for_each (peer, &actor->ties->watching) {
            if (peer->monitor != monitor)
                continue;
            struct link_peer copy = *peer;
            remove_peer(&actor->ties->watching, peer);
            link_withdraw(worker, actor, actor_id(actor), copy);
            break;
        }
    }
    if ((monitor & MONITOR_LASTS) != 0) {
        life_remove_notices(worker, actor, HISTRIO_ENDED, monitor, (struct histrio_ref){0});
        life_remove_notices(worker, actor, HISTRIO_RESTARTED, monitor, (struct histrio_ref){0});
    }
    life_remove_notices(worker, actor, HISTRIO_DOWN, monitor, (struct histrio_ref){0});
}

static void send_exit(struct worker *worker, const struct actor *from, uint64_t from_id,
    struct histrio_ref to, const char *reason, bool by_link)
{
    struct actor *other = NULL;
    uint64_t node;
    const char *why;
    switch (link_place(worker, to, &other)) {
    case PLACE_HERE: link_exit_arrived(worker, other, own_ref(worker, from_id), 0, reason, by_link); break;
    case PLACE_GONE: break;
    case PLACE_WORKER:
        send_job(worker, id_worker(to.id), job_new(worker, to.id, from_id, by_link, reason), exit_job);
        break;
    case PLACE_NODE: /* the node's death fires what cannot be sent */
        (void)link_send_remote(worker, from, from_id, to, SIGNAL_EXIT, 0, reason, by_link, &node, &why);
        break;
    }
}

void link_send_exit(struct worker *worker, struct actor *from, struct histrio_ref to, const char *reason)
{
    send_exit(worker, from, actor_id(from), link_resolve(worker, to), reason, false);
}

static void send_down(struct worker *worker, const struct actor *actor, uint64_t id, struct link_peer watcher,
    const char *reason)
{
    struct actor *other = NULL;
    uint64_t node;
    const char *why;
    switch (link_place(worker, watcher.ref, &other)) {
    case PLACE_HERE: link_down_arrived(worker, other, watcher.monitor, own_ref(worker, id), reason); break;
    case PLACE_GONE: break;
    case PLACE_WORKER:
        send_job(worker, id_worker(watcher.ref.id),
            job_new(worker, watcher.ref.id, id, watcher.monitor, reason), down_job);
        break;
    case PLACE_NODE: /* as in send_exit */
        (void)link_send_remote(
            worker, actor, id, watcher.ref, SIGNAL_DOWN, watcher.monitor, reason, false, &node, &why);
        break;
    }
}

/* False: the watcher cannot be reached any more. */
static bool tell_end(
    struct worker *worker, struct actor *actor, uint64_t id, const struct link_peer *peer, const char *reason)
{
    const struct actor_hosting *hosting = worker->system->config.hosting;
    bool is_hosted = hosting && actor->behavior == hosting->behavior; /* then this is its thread */
    const char *stack = is_hosted && hosting->stack ? hosting->stack(hosting->ctx, id) : "";
    free(actor->ties->cause);
    actor->ties->cause = *stack ? xasprintf("%s\n%s", reason, stack) : xstrdup(reason);
    struct link_news news = {.kind = HISTRIO_ENDED,
        .monitor = peer->monitor,
        .incarnation = names_incarnation(&worker->system->names, actor->name),
        .from = own_ref(worker, actor_id(actor)),
        .text = actor->ties->cause};
    return link_tell_news(worker, actor, peer->ref, &news);
}

void link_fire_all(struct worker *worker, struct actor *actor, uint64_t id, const char *reason)
{
    struct actor_ties *ties = actor->ties;
    bool is_held = (actor->flags & ACTOR_HELD) != 0;
    if (!ties)
        return;
    /* Nothing adds to these lists meanwhile: the actor is no longer alive, so signals to it are ignored. */
    size_t kept = 0;
    vec_for_each (peer, &ties->watchers) {
        if (is_held && (peer->monitor & MONITOR_LASTS) != 0) {
            if (tell_end(worker, actor, id, peer, reason))
                ties->watchers.items[kept++] = *peer;
        } else {
            send_down(worker, actor, id, *peer, reason);
        }
    }
    ties->watchers.count = kept;
    vec_for_each (peer, &ties->links)
        send_exit(worker, actor, id, peer->ref, reason, true);
    vec_for_each (peer, &ties->watching)
        link_withdraw(worker, actor, id, *peer);
    vec_clear(&ties->links);
    vec_clear(&ties->watching);
}
