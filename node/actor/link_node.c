/* Links and monitors between nodes. */
#include "actor/link.h"
#include "actor/send.h"
#include "actor/system_private.h"

#include <stdlib.h>

bool link_send_news(struct worker *worker, const struct actor *actor, struct histrio_ref watcher,
    const struct link_news *news)
{
    const struct actor_outbound *outbound = &worker->system->config.outbound;
    struct actor_signal signal = {
        .kind = news->kind == HISTRIO_ENDED ? SIGNAL_ENDED : SIGNAL_RESTARTED,
        .from_name = actor->name ? intern_text(actor->name) : NULL,
        .from = news->from,
        .to = watcher,
        .from_incarnation = news->incarnation,
        .monitor = news->monitor,
        .reason = news->text,
    };
    uint64_t node;
    return outbound->signal && outbound->signal(outbound->ctx, &signal, &node) == HISTRIO_OK;
}

bool link_send_remote(struct worker *worker, const struct actor *from, uint64_t from_id,
    struct histrio_ref to, enum actor_signal_kind kind, uint64_t monitor, const char *reason, bool by_link,
    uint64_t *ret_node, const char **ret_reason)
{
    const struct actor_outbound *outbound = &worker->system->config.outbound;
    bool is_name = (from_id & TARGET_NAME) != 0; /* that nobody has */
    uint32_t name = from ? from->name : is_name ? (uint32_t)from_id : 0;
    struct actor_signal signal = {
        .kind = kind,
        .from_name = name ? intern_text(name) : NULL,
        .to_name = to.node == 0 ? intern_text((uint32_t)to.id) : NULL,
        .from = {worker->node_uid, is_name ? 0 : from_id},
        .to = to,
        .monitor = monitor,
        .reason = reason,
        .by_link = by_link,
    };
    uint64_t node = to.node;
    enum histrio_error error =
        outbound->signal ? outbound->signal(outbound->ctx, &signal, &node) : HISTRIO_NOT_FOUND;
    if (error == HISTRIO_OK) {
        *ret_node = node;
        return true;
    }
    *ret_reason = error == HISTRIO_NOT_FOUND ? "noproc" : "noconnection";
    return false;
}

void link_mark_remote(struct worker *worker, struct actor *actor)
{
    if ((actor->flags & ACTOR_HAS_REMOTE) != 0)
        return;
    actor->flags |= ACTOR_HAS_REMOTE;
    vec_push(&worker->remote_watchers, actor_id(actor));
}

/* What a signal from another node carries to the worker of its target. */
struct remote_signal {
    struct histrio_ref from;
    uint64_t monitor, incarnation;
    uint32_t from_name;
    uint8_t kind;
    uint8_t by_link;
    char reason[];
};

struct message *link_remote_message(const struct actor_signal *signal, uint64_t target)
{
    const char *reason = signal->reason ? signal->reason : "";
    size_t size = sizeof(struct remote_signal) + strlen(reason) + 1;
    struct remote_signal *remote = xcalloc(1, size);
    remote->from = signal->from;
    remote->monitor = signal->monitor;
    remote->incarnation = signal->from_incarnation;
    remote->from_name = signal->from_name ? intern(signal->from_name, strlen(signal->from_name)) : 0;
    remote->kind = (uint8_t)signal->kind;
    remote->by_link = signal->by_link;
    memcpy(remote->reason, reason, strlen(reason) + 1);
    struct message *message = message_new_outside(size);
    memcpy(message->data, remote, size);
    free(remote);
    message->target = target;
    return message;
}

static void acknowledge_unlink(struct worker *worker, const struct remote_signal *signal, uint64_t target)
{
    uint64_t node;
    const char *why;
    /* When it cannot be sent, the death of a node will end the wait for it. */
    (void)link_send_remote(
        worker, NULL, target, signal->from, SIGNAL_UNLINK_ACKNOWLEDGE, 0, NULL, false, &node, &why);
}

static void remote_answer(struct worker *worker, const struct remote_signal *signal, uint64_t target)
{
    uint64_t node;
    const char *why;
    /* When the answer cannot be sent, the death of a node will end the asker's link or monitor. */
    if (signal->kind == SIGNAL_LINK)
        (void)link_send_remote(
            worker, NULL, target, signal->from, SIGNAL_EXIT, 0, "noproc", true, &node, &why);
    else if (signal->kind == SIGNAL_MONITOR)
        (void)link_send_remote(
            worker, NULL, target, signal->from, SIGNAL_DOWN, signal->monitor, "noproc", false, &node, &why);
    else if (signal->kind == SIGNAL_UNLINK)
        acknowledge_unlink(worker, signal, target);
}

static void remote_apply(struct worker *worker, struct actor *actor, const struct remote_signal *signal)
{
    struct actor_ties *ties = actor_ties(worker, actor);
    struct link_peer *peer = link_find(ties, signal->from, signal->from_name);
    switch ((enum actor_signal_kind)signal->kind) {
    case SIGNAL_LINK:
        if (!peer)
            link_arrived(worker, actor, signal->from, signal->from.node);
        link_mark_remote(worker, actor);
        break;
    case SIGNAL_UNLINK:
        if (peer)
            vec_remove_swap(&ties->links, (size_t)(peer - ties->links.items));
        acknowledge_unlink(worker, signal, actor_id(actor));
        break;
    case SIGNAL_MONITOR:
        link_add_watcher(worker, actor, signal->from, signal->monitor);
        link_mark_remote(worker, actor);
        break;
    case SIGNAL_DEMONITOR:
        for (size_t i = ties->watchers.count; i-- > 0;)
            if (ties->watchers.items[i].monitor == signal->monitor &&
                ties->watchers.items[i].node == signal->from.node)
                vec_remove_swap(&ties->watchers, i);
        break;
    case SIGNAL_EXIT:
        link_exit_arrived(worker, actor, signal->from, signal->from_name, signal->reason, signal->by_link);
        break;
    case SIGNAL_DOWN: link_down_arrived(worker, actor, signal->monitor, signal->from, signal->reason); break;
    case SIGNAL_ENDED:
    case SIGNAL_RESTARTED: break; /* remote_news() */
    case SIGNAL_UNLINK_ACKNOWLEDGE: link_unlink_acknowledged(actor, signal->from); break;
    case SIGNAL_CANCEL: break; /* goes another way: cancel.h */
    }
}

static void remote_news(struct worker *worker, uint64_t id, const struct remote_signal *signal)
{
    link_news_came(worker, id,
        &(struct link_news){.kind = signal->kind == SIGNAL_ENDED ? HISTRIO_ENDED : HISTRIO_RESTARTED,
            .monitor = signal->monitor,
            .incarnation = signal->incarnation,
            .from = signal->from,
            .text = signal->reason});
}

void link_remote_arrived(struct worker *worker, struct message *message)
{
    /* The payload starts at an odd address. */
    struct remote_signal *signal = xmemdup(message->data, message->size);
    uint64_t id = message->target;
    if ((id & TARGET_NAME) != 0)
        id = names_present(&worker->system->names, (uint32_t)id);
    struct actor *actor = id ? registry_find(worker, id) : NULL;
    bool watches = signal->kind == SIGNAL_MONITOR || signal->kind == SIGNAL_DEMONITOR;
    if (signal->kind == SIGNAL_ENDED || signal->kind == SIGNAL_RESTARTED)
        remote_news(worker, id, signal);
    else if (link_is_there(actor, watches ? signal->monitor : 0))
        remote_apply(worker, actor, signal);
    else
        remote_answer(worker, signal, message->target);
    free(signal);
}

static void end_links_to(struct worker *worker, struct actor *actor, uint64_t node)
{
    struct actor_ties *ties = actor->ties;
    for (size_t i = ties->watchers.count; i-- > 0;)
        if (ties->watchers.items[i].node == node)
            vec_remove_swap(&ties->watchers, i);
    for (size_t i = ties->unlinking.count; i-- > 0;)
        if (ties->unlinking.items[i].node == node)
            vec_remove_swap(&ties->unlinking, i);
    for (size_t i = ties->watching.count; i-- > 0;) {
        struct link_peer peer = ties->watching.items[i];
        if (peer.node == node)
            link_down_arrived(worker, actor, peer.monitor, peer.ref, "noconnection");
    }
    for (size_t i = ties->links.count; i-- > 0;) {
        struct link_peer peer = ties->links.items[i];
        if (peer.node == node)
            link_exit_arrived(worker, actor, peer.ref, 0, "noconnection", true);
    }
}

void link_node_dead(struct worker *worker, struct message *message)
{
    uint64_t node = message->target;
    for (size_t i = worker->remote_watchers.count; i-- > 0;) {
        struct actor *actor = registry_find(worker, worker->remote_watchers.items[i]);
        if (!actor || (actor->flags & ACTOR_ALIVE) == 0)
            vec_remove_swap(&worker->remote_watchers, i);
        else
            end_links_to(worker, actor, node);
    }
}
