/* What is seen of nodes from outside, and what users ask of them. */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/fence.h"
#include "core/state.h"

/* Replaces the text when something is known and new; true: it was. */
static bool take_text(char **text, const char *value)
{
    if (!value || !value[0] || text_equal(*text, value))
        return false;
    free(*text);
    *text = xstrdup(value);
    return true;
}

static bool labels_are_equal(const struct label_list *left, const struct label_list *right)
{
    return left->count == right->count && label_list_covers(left, right);
}

static bool take_labels(struct node *node, const struct label_list *labels)
{
    static const struct label_list none = {0};
    const struct label_list *told = labels ? labels : &none;
    if (labels_are_equal(&node->kube_labels, told))
        return false;
    label_list_done(&node->kube_labels);
    node->kube_labels = none;
    label_list_copy(&node->kube_labels, told);
    return true;
}

void core_node_found(struct core *core, const struct core_node_facts *facts)
{
    if (core->is_lost)
        return;
    struct node *node = node_meet(core, facts->node);
    bool is_placed_otherwise = take_text(&node->kube_node, facts->kube_node);
    is_placed_otherwise = take_text(&node->zone, facts->zone) || is_placed_otherwise;
    is_placed_otherwise = take_labels(node, facts->kube_labels) || is_placed_otherwise;
    bool is_news = take_text(&node->pod_uid, facts->pod_uid);
    is_news = take_text(&node->template_hash, facts->template_hash) || is_news;
    if (facts->index >= 0 && node->index != (uint32_t)facts->index) {
        node->index = (uint32_t)facts->index;
        is_placed_otherwise = true;
    }
    is_news = is_news || node->is_unready != facts->is_unready;
    node->is_unready = facts->is_unready;
    if (facts->is_ending && !node->is_ending && node->phase == NODE_UP) {
        node->is_ending = true;
        journal_event(core, false, NULL, node->name, "NodeEnding",
            "node %s is being deleted: its units leave, and another node takes its place", node->name);
        is_news = true;
    }
    if (node->is_removed) {
        node->is_removed = false;
        core_node_asserted(core, node->name, NULL, false);
    }
    core->wants_move_check = core->wants_move_check || is_placed_otherwise;
    core->is_status_dirty = core->is_status_dirty || is_news || is_placed_otherwise;
}

void core_nodes_listed(struct core *core)
{
    vec_for_each (node, &core->nodes)
        if (!(*node)->was_told && (*node)->phase == NODE_UP)
            core_node_asserted(core, (*node)->name, "its pod is gone", true);
}

void core_node_condition(struct core *core, const char *name, const char *reason, const char *message)
{
    struct node *node = node_by_name(core, name);
    char *bounded = reason ? journal_bounded(message) : NULL;
    if (!node || core->is_lost ||
        (text_equal(node->condition_reason, reason) && text_equal(node->condition_message, bounded))) {
        free(bounded);
        return;
    }
    free(node->condition_reason);
    free(node->condition_message);
    node->condition_reason = reason ? xstrdup(reason) : NULL;
    node->condition_message = bounded;
    core->is_status_dirty = true;
}

static bool is_set(const char *text)
{
    return text && text[0];
}

void core_template_changed(struct core *core, const char *template_hash)
{
    const char *hash = is_set(template_hash) ? template_hash : NULL;
    if (core->is_lost || text_equal(core->template_hash, hash))
        return;
    char *copy = hash ? xstrdup(hash) : NULL;
    free(core->template_hash);
    core->template_hash = copy;
    core->is_status_dirty = true;
}

void core_nodes_blocked(struct core *core, const char *reason, const char *text)
{
    char *bounded = reason ? journal_bounded(text) : NULL;
    if (core->is_lost ||
        (text_equal(core->blocked_reason, reason) && text_equal(core->blocked_text, bounded))) {
        free(bounded);
        return;
    }
    free(core->blocked_reason);
    free(core->blocked_text);
    core->blocked_reason = reason ? xstrdup(reason) : NULL;
    core->blocked_text = bounded;
    core->is_status_dirty = true;
}

int core_cordon(struct core *core, const char *name, bool is_cordoned, struct err *err)
{
    struct node *node = node_by_name(core, name);
    if (!node)
        return err_set(err, ERR_NOT_FOUND, "no node '%.64s' in this system", name);
    if (node->is_cordoned == is_cordoned)
        return 0;
    node->is_cordoned = is_cordoned;
    if (is_cordoned)
        vec_push(&core->fence.record.cordons, xstrdup(name));
    else
        node_forget_cordon(core, name);
    (void)fence_changed(core);
    core->wants_move_check = true;
    core->is_status_dirty = true;
    return 0;
}

int core_drain(struct core *core, const char *name, bool is_drained, struct err *err)
{
    struct node *node = node_by_name(core, name);
    if (!node)
        return err_set(err, ERR_NOT_FOUND, "no node '%.64s' in this system", name);
    if (node->is_drain_asked == is_drained)
        return 0;
    node->is_drain_asked = is_drained;
    /* Taken back, it is better than the one that was made for it: that one has fewer units. */
    if (!is_drained && node->phase == NODE_UP && !core->is_stopping && nodes_desired(core) > 0)
        node_set_wanted(core, node, true);
    core->is_status_dirty = true;
    journal_event(core, false, NULL, name, is_drained ? "Drain" : "DrainEnded", "node %s %s", name,
        is_drained ? "is drained: its units leave, and another node takes its place" : "is drained no more");
    return 0;
}
