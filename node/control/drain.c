/* The orderly end: all units stop, the operator hears it, then the owner does. */
#include "base/clock.h"
#include "base/log.h"
#include "node_control/control_private.h"

static void finish_drain(struct node_control *control)
{
    struct convert_sender sender = control_sender(control);
    size_t held = assignments_held_count(&control->assignments);
    log_event(held ? LOG_WARNING : LOG_INFO, "drained", "unitsLeft", log_number(held), NULL);
    control->is_flushing = true;
    control_send_exits(control);
    control_send_inventory(control);
    (void)control_send_take(control, convert_drained(&sender), true);
    control->drain_until_ns = control_now_ns(control) + DRAIN_FLUSH_MS * NS_PER_MS;
    rpc_timer_set(control->drain_timer, 0);
}

void control_check_drained(struct node_control *control)
{
    if (control->is_draining && !control->is_flushing && assignments_held_count(&control->assignments) == 0)
        finish_drain(control);
}

void control_start_drain(struct node_control *control, uint32_t timeout_ms)
{
    struct assignment_actions actions = {0};
    int64_t until_ns = control_now_ns(control) + timeout_ms * NS_PER_MS;
    if (control->is_flushing || control->is_closing)
        return;
    if (control->is_draining && until_ns >= control->drain_until_ns)
        return; /* asked for again: the shorter time counts */
    control->is_draining = true;
    log_event(LOG_INFO, "draining", "units", log_number(assignments_held_count(&control->assignments)),
        "timeoutMs", log_number(timeout_ms), NULL);
    control->drain_until_ns = until_ns;
    rpc_timer_set(control->drain_timer, timeout_ms);
    assignments_drain(&control->assignments, &actions);
    control_perform(control, &actions);
}

void control_drain_timer(void *ctx)
{
    struct node_control *control = ctx;
    if (!control->is_flushing) {
        finish_drain(control); /* the time is up, whatever still runs */
        return;
    }
    bool is_gone = !control->current || session_is_idle(control->current);
    if (!is_gone && control_now_ns(control) < control->drain_until_ns) {
        rpc_timer_set(control->drain_timer, DRAIN_POLL_MS);
        return;
    }
    if (control->is_drained)
        return;
    control->is_drained = true;
    control->config.events.drained(control->config.events.ctx);
}
