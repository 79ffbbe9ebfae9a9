#include "core/node_table.h"

#include <inttypes.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/fence.h"
#include "core/state.h"
#include "types/system.h"

/* "bank-nodes-7": 7. Names that are not ours have none. */
static uint64_t serial_of(const char *name)
{
    const char *dash = strrchr(name, '-');
    uint64_t serial = 0;
    return dash && text_to_u64(dash + 1, INT64_MAX, &serial, NULL) == 0 ? serial : 0;
}

struct node *node_add(struct core *core, const char *name, uint32_t index)
{
    struct node *node = xcalloc(1, sizeof(*node));
    node->name = xstrdup(name);
    node->serial = serial_of(name);
    node->index = index;
    node->is_wanted = true;
    node->silent_from_ms = INT64_MIN;
    node->unready_from_ms = INT64_MAX;
    node->echoed_ms = INT64_MIN;
    vec_for_each (cordon, &core->fence.record.cordons)
        node->is_cordoned = node->is_cordoned || text_equal(*cordon, name);
    size_t place = core->nodes.count;
    while (place > 0 && core->nodes.items[place - 1]->serial > node->serial)
        place--; /* by age: a new leader is told of them in any order */
    vec_insert_at(&core->nodes, place, node);
    (void)map_put(&core->nodes_by_name, node->name, node);
    core->is_status_dirty = true;
    return node;
}

/* Nobody told this leader of the node before: its name is not to be given out again. */
static void keep_serial(struct core *core, const struct node *node)
{
    if (node->serial < core->fence.record.next_serial)
        return;
    core->fence.record.next_serial = node->serial + 1;
    (void)fence_changed(core);
}

struct node *node_meet(struct core *core, const char *name)
{
    struct node *node = node_by_name(core, name);
    if (!node) {
        node = node_add(core, name, node_free_index(core));
        node->is_known = true;
        keep_serial(core, node);
    }
    if (node->phase == NODE_PLANNED || node->phase == NODE_CREATING) {
        node->phase = NODE_UP;
        core->is_status_dirty = true;
    }
    node->was_told = true;
    return node;
}

void node_free(struct node *node)
{
    if (!node)
        return;
    free(node->name);
    free(node->pod_uid);
    free(node->kube_node);
    free(node->zone);
    free(node->template_hash);
    label_list_done(&node->kube_labels);
    free(node->condition_reason);
    free(node->condition_message);
    free(node->assertion);
    free(node->link_address);
    free(node->gateway_address);
    free(node);
}

struct node *node_by_name(const struct core *core, const char *name)
{
    return map_get(&core->nodes_by_name, name);
}

struct node *node_by_uid(const struct core *core, uint64_t uid)
{
    return uid ? map64_get(&core->nodes_by_uid, uid) : NULL;
}

void node_remove(struct core *core, struct node *node)
{
    (void)map64_remove(&core->nodes_by_uid, node->uid);
    (void)map_remove(&core->nodes_by_name, node->name);
    if (node_forget_cordon(core, node->name)) /* the name is never used again */
        (void)fence_changed(core);
    for (size_t i = 0; i < core->nodes.count; i++)
        if (core->nodes.items[i] == node) {
            vec_remove_at(&core->nodes, i);
            break;
        }
    node_free(node);
    core->is_status_dirty = true;
}

void node_reset_session(struct core *core, struct node *node)
{
    if (node->is_connected)
        node->silent_from_ms = node->echoed_ms == INT64_MIN ? core->now_ms : node->echoed_ms;
    node->echoed_ms = INT64_MIN;
    node->session = 0;
    node->is_connected = false;
    node->is_inventory_asked = false;
    node->has_inventory = false;
    node->is_drain_sent = false;
    node->is_drained = false;
    node->configuration_sent = 0;
    node->configuration_acknowledged = 0;
    node->roster_sent = 0;
    node->roster_acknowledged = 0;
    node->routes_sent = 0;
    node->has_routes = false;
    node->dead_sent = 0;
    node->load = (struct core_load){0};
}

void node_set_uid(struct core *core, struct node *node, uint64_t uid, int64_t pid)
{
    if (node->uid == uid) {
        if (pid)
            node->pid = pid;
        return;
    }
    (void)map64_remove(&core->nodes_by_uid, node->uid);
    node_reset_session(core, node);
    node->uid = uid;
    node->pid = pid;
    node->roster_change = 0;
    node->is_member = uid && roster_find(&core->fence.record.current, uid);
    node->refuses_units = false;
    node->started_wall_ms = uid ? core->wall_ms : 0;
    if (uid)
        (void)map64_put(&core->nodes_by_uid, uid, node);
    core->is_status_dirty = true;
}

bool node_is_usable(const struct core *core, const struct node *node)
{
    return node->is_connected && node->has_inventory && node->is_member &&
           fence_is_durable(core, node->roster_change);
}

bool node_takes_units(const struct core *core, const struct node *node)
{
    return node_is_usable(core, node) && node->is_wanted && !node->is_cordoned && !node->refuses_units &&
           node->phase == NODE_UP;
}

uint32_t nodes_desired(const struct core *core)
{
    return core->is_stopping || core->spec->suspend ? 0 : core->spec->nodes.replicas;
}

bool node_is_outdated(const struct core *core, const struct node *node)
{
    return core->template_hash && node->template_hash && node->phase != NODE_PLANNED &&
           !text_equal(core->template_hash, node->template_hash);
}

void node_set_wanted(struct core *core, struct node *node, bool is_wanted)
{
    if (node->is_wanted == is_wanted)
        return;
    node->is_wanted = is_wanted;
    node->leaving_from_ms = core->now_ms;
    core->wants_move_check = true;
    core->is_status_dirty = true;
}

void node_living_uids(const struct core *core, const struct node *node, struct uid_list *ret_uids)
{
    const struct fence_record *record = &core->fence.record;
    const struct roster *rosters[] = {&record->current, &record->previous};
    if (node->uid && !fence_record_is_dead(record, node->uid))
        vec_push(ret_uids, node->uid);
    for (size_t i = 0; i < 2; i++)
        vec_for_each (member, &rosters[i]->members)
            if (text_equal(member->node, node->name) && member->uid != node->uid &&
                !fence_record_is_dead(record, member->uid))
                vec_push(ret_uids, member->uid);
}

bool node_may_live(const struct core *core, const struct node *node)
{
    struct uid_list uids = {0};
    node_living_uids(core, node, &uids);
    bool may_live = uids.count > 0;
    vec_done(&uids);
    return may_live;
}

bool node_forget_cordon(struct core *core, const char *name)
{
    struct fence_record *record = &core->fence.record;
    for (size_t i = 0; i < record->cordons.count; i++)
        if (text_equal(record->cordons.items[i], name)) {
            free(record->cordons.items[i]);
            vec_remove_at(&record->cordons, i);
            return true;
        }
    return false;
}
