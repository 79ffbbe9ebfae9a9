#include "core/node_table.h"

#include <inttypes.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/fence.h"
#include "core/state.h"
#include "types/system.h"

struct node *node_add(struct core *core, const char *name, uint32_t index)
{
    struct node *node = xcalloc(1, sizeof(*node));
    node->name = xstrdup(name);
    node->index = index;
    node->is_wanted = true;
    vec_for_each (cordon, &core->fence.record.cordons)
        node->is_cordoned = node->is_cordoned || text_equal(*cordon, name);
    vec_push(&core->nodes, node);
    core->is_status_dirty = true;
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
    free(node->link_address);
    free(node->gateway_address);
    free(node);
}

struct node *node_by_name(const struct core *core, const char *name)
{
    vec_for_each (node, &core->nodes)
        if (text_equal((*node)->name, name))
            return *node;
    return NULL;
}

struct node *node_by_uid(const struct core *core, uint64_t uid)
{
    return uid ? map64_get(&core->nodes_by_uid, uid) : NULL;
}

void node_remove(struct core *core, struct node *node)
{
    (void)map64_remove(&core->nodes_by_uid, node->uid);
    for (size_t i = 0; i < core->nodes.count; i++)
        if (core->nodes.items[i] == node) {
            vec_remove_at(&core->nodes, i);
            break;
        }
    node_free(node);
    core->is_status_dirty = true;
}

void node_reset_session(struct node *node)
{
    node->session = 0;
    node->is_connected = false;
    node->is_inventory_asked = false;
    node->has_inventory = false;
    node->is_drain_sent = false;
    node->is_drained = false;
    node->configuration_sent = 0;
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
    node_reset_session(node);
    node->uid = uid;
    node->pid = pid;
    node->roster_change = 0;
    node->refuses_units = false;
    node->started_wall_ms = uid ? core->wall_ms : 0;
    if (uid)
        (void)map64_put(&core->nodes_by_uid, uid, node);
    core->is_status_dirty = true;
}

bool node_is_usable(const struct core *core, const struct node *node)
{
    return node->is_connected && node->has_inventory && node->uid &&
           roster_find(&core->fence.record.current, node->uid) && fence_is_durable(core, node->roster_change);
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

int core_cordon(struct core *core, const char *name, bool is_cordoned, struct err *err)
{
    struct fence_record *record = &core->fence.record;
    struct node *node = node_by_name(core, name);
    if (!node)
        return err_set(err, ERR_NOT_FOUND, "no node '%.64s' in this system", name);
    if (node->is_cordoned == is_cordoned)
        return 0;
    node->is_cordoned = is_cordoned;
    for (size_t i = 0; i < record->cordons.count; i++)
        if (text_equal(record->cordons.items[i], name)) {
            free(record->cordons.items[i]);
            vec_remove_at(&record->cordons, i);
            break;
        }
    if (is_cordoned)
        vec_push(&record->cordons, xstrdup(name));
    (void)fence_changed(core);
    core->wants_move_check = true;
    core->is_status_dirty = true;
    return 0;
}
