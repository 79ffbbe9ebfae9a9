/* Silent nodes, and assertions that they are gone (R6).
 *
 * 1. An assertion is no proof. It is ignored while the node is connected, and after that until the last
 *    permission that the node can have is over: the longest TTL in force and a tenth more, from the last
 * echo.
 * 2. Then all uids of the node are declared dead, and only when that is durable its units go elsewhere and
 * what is left of it is removed.
 * 3. A node that is silent and of which nobody says anything keeps its units: it may go on. */
#include <inttypes.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/fence.h"
#include "core/restart.h"
#include "core/state.h"

void core_node_echoed(struct core *core, uint64_t uid, int64_t at_ms)
{
    struct node *node = node_by_uid(core, uid);
    if (node && node->is_connected)
        node->echoed_ms = at_ms < core->now_ms ? at_ms : core->now_ms;
}

int64_t node_permission_end_ms(const struct core *core, const struct node *node)
{
    if (node->is_connected && !MUTANT(MUTANT_BELIEVES_ASSERTION))
        return INT64_MAX;
    int64_t from_ms = node->silent_from_ms == INT64_MIN ? core->started_ms : node->silent_from_ms;
    return MUTANT(MUTANT_HASTY_ASSERTION) ? core->now_ms : from_ms + fence_permission_ms(core);
}

bool node_is_lost(const struct core *core, const struct node *node)
{
    return node->uid && !node->is_connected && node->phase != NODE_ENDED &&
           core->now_ms >= node_permission_end_ms(core, node) && node->is_member;
}

void core_node_asserted(struct core *core, const char *name, const char *why, bool is_removed)
{
    struct node *node = node_by_name(core, name);
    if (!node || core->is_lost || (node->is_removed && !is_removed))
        return;
    node->is_removed = is_removed;
    if (text_equal(node->assertion, why))
        return;
    free(node->assertion);
    node->assertion = why ? xstrdup(why) : NULL;
    core->is_status_dirty = true;
}

int core_forget(struct core *core, const char *name, struct err *err)
{
    const struct node *node = node_by_name(core, name);
    if (!node)
        return err_set(err, ERR_NOT_FOUND, "no node '%.64s' in this system", name);
    if (node->is_connected)
        return err_set(err, ERR_INVALID,
            "node '%.64s' is connected, so it is not gone; to replace it, drain it or delete its pod", name);
    core_node_asserted(core, name, "a user said so", node->is_removed);
    return 0;
}

/* Returns false when the node is gone from the table. */
static bool declare_dead(struct core *core, struct node *node)
{
    struct uid_list uids = {0};
    node_living_uids(core, node, &uids);
    vec_for_each (uid, &uids) {
        restart_node_lost(core, node, *uid, node->assertion);
        fence_add_death(core, *uid, "Assertion");
    }
    vec_done(&uids);
    if (node->is_removed) {
        node_remove(core, node);
        return false;
    }
    node->phase = NODE_ENDED;
    node->is_fenced = true;
    node->is_delete_sent = false;
    node->delete_after_change = core->fence.change;
    node_set_wanted(core, node, false);
    core->is_status_dirty = true;
    return true;
}

static void tell_loss(struct core *core, struct node *node)
{
    if (node->is_lost_told)
        return;
    node->is_lost_told = true;
    core->is_status_dirty = true;
    journal_event(core, true, NULL, node->name, "NodeLost",
        "node %s is silent, and nothing proves that it ended: its units wait", node->name);
}

void losses_decide(struct core *core)
{
    for (size_t i = 0; i < core->nodes.count;) {
        struct node *node = core->nodes.items[i];
        int64_t end_ms = node_permission_end_ms(core, node);
        bool may_live = node->uid || (node->assertion && node_may_live(core, node));
        if (may_live && core->now_ms < end_ms && end_ms != INT64_MAX)
            plan_wake(core, end_ms);
        if (node_is_lost(core, node))
            tell_loss(core, node);
        if (node->assertion && (!may_live || core->now_ms >= end_ms) &&
            (node->phase != NODE_ENDED || node->is_removed) && !declare_dead(core, node))
            continue;
        i++;
    }
}
