/* Performs what assignments.c decided. */
#include "base/clock.h"
#include "base/epoch.h"
#include "base/err.h"
#include "base/log.h"
#include "node_control/control_private.h"

#include <stdlib.h>

enum assignment_lease control_lease_state(const struct node_control *control)
{
    bool is_held = lease_is_held(&control->lease, control_now_ns(control));
    if (is_held && control_is_ready(control))
        return ASSIGNMENT_LEASE_HELD;
    return control->current ? ASSIGNMENT_LEASE_EXPECTED : ASSIGNMENT_LEASE_NONE;
}

static void log_unit(
    enum log_level level, const char *text, const char *unit, uint64_t epoch, const char *reason)
{
    char epoch_text[EPOCH_TEXT_BYTES];
    if (reason && *reason)
        log_event(
            level, text, "unit", unit, "epoch", epoch_format(epoch, epoch_text), "reason", reason, NULL);
    else
        log_event(level, text, "unit", unit, "epoch", epoch_format(epoch, epoch_text), NULL);
}

static int start_unit(
    struct node_control *control, const struct actor_unit_spec *spec, uint64_t epoch, struct err *err)
{
    const struct node_control_peers *peers = &control->config.peers;
    if (control_check_behaviors(control, spec, err) < 0)
        return -1;
    /* Before its first actor runs: what it sends carries the epoch. */
    peers->unit_held(peers->ctx, spec->name, epoch);
    if (actor_system_unit_start(control->actors, spec, epoch, err) == 0)
        return 0;
    peers->unit_released(peers->ctx, spec->name, epoch);
    return -1;
}

static void perform_start(
    struct node_control *control, const struct assignment_action *action, struct assignment_actions *more)
{
    struct actor_unit_spec *spec = action->spec;
    struct err err = {0};
    log_unit(LOG_INFO, "unit starts", action->unit, action->epoch, NULL);
    if (start_unit(control, spec, action->epoch, &err) < 0) {
        log_unit(LOG_WARNING, "unit cannot start", action->unit, action->epoch, err.text);
        assignments_start_failed(&control->assignments, action->unit, action->epoch,
            err.kind == ERR_INVALID ? REFUSAL_OF_BAD_SPEC : REFUSAL_START_FAILED, err.text, more);
    }
    free(spec);
}

static void perform_stop(struct node_control *control, const struct assignment_action *action)
{
    struct err err = {0};
    log_unit(LOG_INFO, "unit stops", action->unit, action->epoch, NULL);
    if (actor_system_unit_stop(control->actors, action->unit, &err) == 0)
        return;
    /* It ended by itself just now. Should the runtime's own report be under way it is first in the queue, and
     * this one is then of an epoch that is not held. */
    if (changes_add(&control->changes, action->unit, action->epoch, UNIT_STOPPED, err.text))
        rpc_loop_post(control->config.loop, control_changes_waiting, control);
}

void control_perform(struct node_control *control, struct assignment_actions *actions)
{
    struct convert_sender sender = control_sender(control);
    bool has_changed = actions->list.count > 0;
    for (size_t i = 0; i < actions->list.count;
         i++) { /* performing one may add others: each start fails once */
        struct assignment_action action = actions->list.items[i];
        actions->list.items[i].spec = NULL; /* taken below */
        switch (action.kind) {
        case ASSIGNMENT_START: perform_start(control, &action, actions); break;
        case ASSIGNMENT_STOP: perform_stop(control, &action); break;
        case ASSIGNMENT_ANSWER_ASSIGN:
            if (action.refusal != REFUSAL_NO)
                log_unit(LOG_WARNING, refusal_name(action.refusal), action.unit, action.epoch, action.reason);
            (void)control_send_take(control, convert_assigned(&sender, &action), true);
            break;
        case ASSIGNMENT_ANSWER_REVOKE:
            (void)control_send_take(control, convert_revoked(&sender, &action), true);
            break;
        }
    }
    assignment_actions_done(actions, free);
    if (has_changed)
        control_inventory_changed(control, true);
    control_check_drained(control);
}

static void apply_change(
    struct node_control *control, const struct change *change, struct assignment_actions *actions)
{
    const struct node_control_peers *peers = &control->config.peers;
    if (change->state == UNIT_FAILED || change->state == UNIT_STOPPED) {
        peers->unit_released(peers->ctx, change->unit, change->epoch);
        log_unit(change->state == UNIT_FAILED ? LOG_WARNING : LOG_INFO,
            change->state == UNIT_FAILED ? "unit failed" : "unit stopped", change->unit, change->epoch,
            change->reason);
    } else if (change->state == UNIT_RUNNING) {
        log_unit(LOG_INFO, "unit runs", change->unit, change->epoch, NULL);
    }
    assignments_unit_changed(
        &control->assignments, change->unit, change->epoch, change->state, change->reason, actions);
}

void control_changes_waiting(void *ctx)
{
    struct node_control *control = ctx;
    struct assignment_actions actions = {0};
    if (control->is_closing)
        return; /* the runtime is being taken down: its units end, and nobody is told any more */
    struct change_list list = changes_take(&control->changes);
    vec_for_each (change, &list.items)
        apply_change(control, change, &actions);
    change_list_done(&list);
    control_perform(control, &actions);
    control_inventory_changed(control, true);
}

void control_advance_waiting(struct node_control *control)
{
    struct assignment_actions actions = {0};
    int64_t now_ns = control_now_ns(control);
    bool is_held = lease_is_held(&control->lease, now_ns);
    int64_t limit_ms = is_held ? LIBRARY_WAIT_MS : LEASE_WAIT_MS;
    if (control->waiting_since_ns == 0)
        return;
    if (is_held && control_is_ready(control))
        assignments_lease_held(&control->assignments, &actions);
    else if (now_ns - control->waiting_since_ns > limit_ms * NS_PER_MS)
        assignments_lease_lost(&control->assignments,
            is_held ? "the libraries are still being loaded" : "no echo of the leader came", &actions);
    else
        return;
    control->waiting_since_ns = 0;
    control_perform(control, &actions);
}
