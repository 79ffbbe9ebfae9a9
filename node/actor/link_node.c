/* Links and monitors between nodes. */
#include "actor/link.h"
#include "actor/send.h"
#include "actor/system_private.h"

#include <stdlib.h>

bool link_send_remote(struct worker *worker, const struct actor *from, uint64_t from_id,
    struct histrio_ref to, enum actor_signal_kind kind, uint64_t monitor, const char *reason, bool by_link,
    uint64_t *ret_node, const char **ret_reason)
{
    const struct actor_outbound *outbound = &worker->system->config.outbound;
    struct actor_signal signal = {
        .kind = kind,
        .from_name = from && from->name ? intern_text(from->name) : NULL,
        .to_name = to.node == 0 ? intern_text((uint32_t)to.id) : NULL,
        .from = {worker->node_uid, from_id},
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
    uint64_t monitor;
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

static struct link_peer remote_peer(const struct remote_signal *signal)
{
    return (struct link_peer){.ref = signal->from, .node = signal->from.node, .monitor = signal->monitor};
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
    struct actor_side *side = actor_side(worker, actor);
    struct link_peer *peer = link_find(side, signal->from, signal->from_name);
    switch ((enum actor_signal_kind)signal->kind) {
    case SIGNAL_LINK:
        if (!peer)
            link_arrived(worker, actor, signal->from, signal->from.node);
        link_mark_remote(worker, actor);
        break;
    case SIGNAL_UNLINK:
        if (peer)
            vec_remove_swap(&side->links, (size_t)(peer - side->links.items));
        acknowledge_unlink(worker, signal, actor_id(actor));
        break;
    case SIGNAL_MONITOR:
        vec_push(&side->watchers, remote_peer(signal));
        link_mark_remote(worker, actor);
        break;
    case SIGNAL_DEMONITOR:
        for (size_t i = side->watchers.count; i-- > 0;)
            if (side->watchers.items[i].monitor == signal->monitor &&
                side->watchers.items[i].node == signal->from.node)
                vec_remove_swap(&side->watchers, i);
        break;
    case SIGNAL_EXIT:
        link_exit_arrived(worker, actor, signal->from, signal->from_name, signal->reason, signal->by_link);
        break;
    case SIGNAL_DOWN: link_down_arrived(worker, actor, signal->monitor, signal->from, signal->reason); break;
    case SIGNAL_UNLINK_ACKNOWLEDGE: link_unlink_acknowledged(actor, signal->from); break;
    }
}

void link_remote_arrived(struct worker *worker, struct message *message)
{
    /* The payload starts at an odd address. */
    struct remote_signal *signal = xmemdup(message->data, message->size);
    uint64_t id = message->target;
    if ((id & TARGET_NAME) != 0)
        id = names_present(&worker->system->names, (uint32_t)id);
    struct actor *actor = id ? registry_find(worker, id) : NULL;
    if (actor && (actor->flags & ACTOR_ALIVE) != 0)
        remote_apply(worker, actor, signal);
    else
        remote_answer(worker, signal, (message->target & TARGET_NAME) == 0 ? message->target : 0);
    free(signal);
}

static void end_links_to(struct worker *worker, struct actor *actor, uint64_t node)
{
    struct actor_side *side = actor->side;
    for (size_t i = side->watchers.count; i-- > 0;)
        if (side->watchers.items[i].node == node)
            vec_remove_swap(&side->watchers, i);
    for (size_t i = side->unlinking.count; i-- > 0;)
        if (side->unlinking.items[i].node == node)
            vec_remove_swap(&side->unlinking, i);
    for (size_t i = side->watching.count; i-- > 0;) {
        struct link_peer peer = side->watching.items[i];
        if (peer.node == node)
            link_down_arrived(worker, actor, peer.monitor, peer.ref, "noconnection");
    }
    for (size_t i = side->links.count; i-- > 0;) {
        struct link_peer peer = side->links.items[i];
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
