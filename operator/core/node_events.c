#include <inttypes.h>

#include "base/mem.h"
#include "base/str.h"
#include "core/fence.h"
#include "core/restart.h"
#include "core/roster.h"
#include "core/state.h"

enum { EXIT_BAD_CONFIGURATION = 78, RETURNED_MAX = 1000 };

/* The uid is proven dead, however we learned it. */
static void take_death(struct core *core, struct node *node, uint64_t uid, const struct core_node_exit *how)
{
    if (uid == 0 || fence_record_is_dead(&core->fence.record, uid))
        return;
    restart_node_died(core, node, uid, how);
    fence_add_death(core, uid, "Proof");
    node->runtime_restarts++;
}

void core_node_started(struct core *core, const char *name, uint64_t uid, int64_t pid)
{
    if (core->is_lost || uid == 0 || fence_record_is_dead(&core->fence.record, uid))
        return;
    struct node *node = node_meet(core, name);
    if (node->uid && node->uid != uid)
        take_death(core, node, node->uid, NULL); /* a parent starts the next only after it reaped the last */
    node_set_uid(core, node, uid, pid);
    core->is_status_dirty = true;
}

void core_node_exited(struct core *core, const char *name, uint64_t uid, const struct core_node_exit *how)
{
    struct node *node = node_by_name(core, name);
    if (core->is_lost)
        return;
    if (node)
        take_death(core, node, uid, how);
    else
        fence_add_death(core, uid, "Proof"); /* late news of a node that is gone */
}

/* how NULL: it ended as asked. */
static void take_deaths_of(struct core *core, struct node *node, const struct core_node_exit *how)
{
    struct uid_list uids = {0};
    node_living_uids(core, node, &uids);
    vec_for_each (uid, &uids)
        take_death(core, node, *uid, *uid == node->uid ? how : NULL);
    vec_done(&uids);
}

static void take_trouble(
    struct core *core, const struct node *node, const struct core_node_exit *how, const char *text)
{
    core->create_not_before_ms = core->now_ms + backoff_next(&core->create_backoff, core->now_ms, &core->rng);
    free(core->node_trouble);
    if (text && text[0]) {
        core->node_trouble = journal_bounded(text);
    } else if (!how->signal && how->exit_code == EXIT_BAD_CONFIGURATION) {
        core->node_trouble =
            xasprintf("node %s refused its configuration (exit code 78): see its log", node->name);
    } else if (how->signal) {
        char *end = describe_node_exit(how);
        core->node_trouble = xasprintf("node %s was %s: see its log", node->name, end);
        free(end);
    } else {
        core->node_trouble =
            xasprintf("node %s ended with exit code %d: see its log", node->name, how->exit_code);
    }
    journal_event(core, true, NULL, node->name, "NodeGone", "%s", core->node_trouble);
}

static bool is_end_unexpected(const struct core *core, const struct node *node)
{
    return node->is_wanted && !core->is_stopping &&
           (node->phase == NODE_PLANNED || node->phase == NODE_CREATING || node->phase == NODE_UP);
}

void core_node_gone(struct core *core, const char *name, int exit_code, const char *text)
{
    struct node *node = node_by_name(core, name);
    struct core_node_exit how = {.exit_code = exit_code};
    if (!node || core->is_lost)
        return;
    if (node->is_removed) /* what is said is an assertion, not proof */
        return;
    bool is_unexpected = is_end_unexpected(core, node);
    take_deaths_of(core, node, is_unexpected ? &how : NULL);
    if (is_unexpected)
        take_trouble(core, node, &how, text);
    node_remove(core, node);
}

void core_node_ended(struct core *core, const char *name, const struct core_node_exit *how, const char *text)
{
    struct node *node = node_by_name(core, name);
    if (!node || core->is_lost || node->phase == NODE_ENDED)
        return;
    bool is_unexpected = how && is_end_unexpected(core, node);
    take_deaths_of(core, node, is_unexpected ? how : NULL);
    if (is_unexpected)
        take_trouble(core, node, how, text);
    node->is_delete_sent = node->phase == NODE_DELETING || node->is_ending; /* then it goes by itself */
    node->phase = NODE_ENDED;
    node->delete_after_change = core->fence.change;
    node_set_wanted(core, node, false);
    core->is_status_dirty = true;
}

/* What a hello leaves out may be known from outside. */
static void replace_text(char **text, const char *value)
{
    if (*text && (!value || !value[0]))
        return;
    char *copy = xstrdup(value ? value : "");
    free(*text);
    *text = copy;
}

void core_node_connected(struct core *core, const struct core_hello *hello)
{
    if (core->is_lost || hello->uid == 0)
        return;
    if (fence_record_is_dead(&core->fence.record, hello->uid)) {
        if (core->returned.count < RETURNED_MAX)
            vec_push(&core->returned, hello->uid);
        return;
    }
    struct node *node = node_meet(core, hello->node);
    fence_meet_term(core, hello->term, node->name);
    if (hello->previous_uid != hello->uid)
        take_death(core, node, hello->previous_uid, &hello->previous);
    for (size_t i = 0; i < hello->earlier_count; i++)
        if (hello->earlier_uids[i] != hello->uid)
            take_death(core, node, hello->earlier_uids[i], NULL);
    node_set_uid(core, node, hello->uid, 0);
    node_reset_session(core, node);
    node->session = ++core->sessions;
    node->is_connected = true;
    replace_text(&node->pod_uid, hello->pod_uid);
    replace_text(&node->kube_node, hello->kube_node);
    replace_text(&node->zone, hello->zone);
    replace_text(&node->link_address, hello->link_address);
    replace_text(&node->gateway_address, hello->gateway_address);
    free(core->node_trouble);
    core->node_trouble = NULL;
    node->is_lost_told = false;
    if (core->first_connected_ms == INT64_MAX)
        core->first_connected_ms = core->now_ms;
    backoff_reset(&core->create_backoff);
    core->is_status_dirty = true;
}

void core_node_disconnected(struct core *core, uint64_t uid)
{
    struct node *node = node_by_uid(core, uid);
    if (!node || !node->is_connected)
        return;
    node_reset_session(core, node);
    core->is_status_dirty = true;
    if (MUTANT(MUTANT_GUESSES_DEATH))
        fence_add_death(core, uid, "Proof");
    if (MUTANT(MUTANT_FORGETS_IN_FLIGHT))
        map_for_each (item, &core->units) {
            struct hold *hold = unit_hold_of(item.value, uid);
            if (hold && hold->phase == HOLD_ASSIGNED)
                unit_hold_remove(core, item.value, uid);
        }
}

void core_node_load(struct core *core, uint64_t uid, const struct core_load *load)
{
    struct node *node = node_by_uid(core, uid);
    if (node)
        node->load = *load; /* no news: whoever reads the status next sees it */
}

void core_node_acknowledged(
    struct core *core, uint64_t uid, uint64_t roster_version, uint64_t route_version, int64_t generation)
{
    struct node *node = node_by_uid(core, uid);
    (void)route_version; /* streams keep order: what was sent in a session arrives in it */
    if (node && node->is_connected && generation > node->configuration_acknowledged &&
        generation <= node->configuration_sent)
        node->configuration_acknowledged = generation;
    if (node && node->is_connected && roster_version > node->roster_acknowledged &&
        roster_version <= node->roster_sent)
        node->roster_acknowledged = roster_version;
}

void core_node_drained(struct core *core, uint64_t uid)
{
    struct node *node = node_by_uid(core, uid);
    if (!node)
        return;
    node->is_drained = true;
    node->refuses_units = true;
    core->is_status_dirty = true;
}

void core_node_refused(
    struct core *core, uint64_t uid, enum core_refusal reason, uint32_t highest_term, const char *text)
{
    struct node *node = node_by_uid(core, uid);
    if (!node || core->is_lost)
        return;
    fence_meet_term(core, highest_term, node->name);
    if (reason != CORE_REFUSAL_NONE)
        journal_event(core, true, NULL, node->name, "CommandRefused", "node %s refused a command: %s",
            node->name, text && text[0] ? text : "no reason given");
}
