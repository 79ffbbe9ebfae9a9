/* What the operator is told without being asked. */
#include "base/clock.h"
#include "node_control/control_private.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void control_send_lease_request(struct node_control *control)
{
    struct convert_sender sender = control_sender(control);
    if (!control->current)
        return;
    uint64_t nonce = lease_request(&control->lease, control_now_ns(control));
    /* A session that takes no more loses the lease by time; it needs no help. */
    (void)control_send_take(control, convert_lease(&sender, nonce, control->roster_version, false), false);
}

void control_acknowledge(struct node_control *control)
{
    struct convert_sender sender = control_sender(control);
    (void)control_send_take(control,
        convert_acknowledged(
            &sender, control->roster_version, control->route_version, control->acknowledged_generation),
        true);
}

/* ---- load ---- */

static uint64_t resident_bytes(void)
{
    char text[128] = "";
    unsigned long long total_pages = 0;
    unsigned long long resident_pages = 0;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t size = read(fd, text, sizeof(text) - 1);
    (void)close(fd); /* only read */
    if (size <= 0 || sscanf(text, "%llu %llu", &total_pages, &resident_pages) != 2)
        return 0;
    return resident_pages * (unsigned long long)sysconf(_SC_PAGE_SIZE);
}

void control_send_load(struct node_control *control)
{
    struct convert_sender sender = control_sender(control);
    struct actor_counters counters = {0};
    if (!control->current)
        return;
    actor_system_counters(control->actors, &counters);
    (void)control_send_take(control, convert_load(&sender, &counters, resident_bytes()), false);
}

/* ---- inventory ---- */

struct rows {
    VEC(struct actor_info) list;
};

static void add_row(void *ctx, const struct actor_info *info)
{
    struct rows *rows = ctx;
    if (rows->list.count < INVENTORY_ROWS_MAX)
        vec_push(&rows->list, *info);
}

static int compare_rows(const void *left, const void *right)
{
    const struct actor_info *first = left;
    const struct actor_info *second = right;
    int order = strcmp(first->unit, second->unit);
    return order ? order : strcmp(first->path, second->path);
}

static bool is_unsettled(const struct rows *rows)
{
    vec_for_each (row, &rows->list) {
        if (strcmp(row->state, "Starting") == 0 || strcmp(row->state, "Restarting") == 0)
            return true;
    }
    return false;
}

void control_send_inventory(struct node_control *control)
{
    struct convert_sender sender = control_sender(control);
    struct rows rows = {0};
    if (!control->current) {
        control->is_inventory_due = true; /* the next session begins with one */
        return;
    }
    control_send_load(control); /* first: a status made from the inventory has it */
    actor_system_list(control->actors, "", add_row, &rows);
    vec_sort(&rows.list, compare_rows);
    bool is_sent = control_send_take(control,
        convert_inventory(&sender, &control->assignments, rows.list.items, rows.list.count,
            control->roster_version, control->route_version),
        false);
    bool is_due_again = !is_sent || is_unsettled(&rows);
    vec_done(&rows.list);
    control->inventory_sent_ns = control_now_ns(control);
    control->is_inventory_due = is_due_again;
    if (is_due_again)
        rpc_timer_set(control->inventory_timer, INVENTORY_UNSETTLED_MS);
    else
        rpc_timer_cancel(control->inventory_timer);
}

/* At once only where no inventory went out in the last interval; else with what else changes until then. */
void control_inventory_changed(struct node_control *control, bool at_once)
{
    int64_t since_ms = (control_now_ns(control) - control->inventory_sent_ns) / NS_PER_MS;
    if (at_once && since_ms >= INVENTORY_INTERVAL_MS) {
        control_send_inventory(control);
        return;
    }
    control->is_inventory_due = true;
    int64_t left_ms = INVENTORY_INTERVAL_MS - (since_ms < INVENTORY_INTERVAL_MS ? since_ms : 0);
    rpc_timer_set(control->inventory_timer, (uint64_t)left_ms);
}

/* ---- exits ---- */

void control_exits_waiting(void *ctx)
{
    struct node_control *control = ctx;
    if (!control->current || control->is_closing)
        return; /* they wait, up to their limit, for the next session */
    rpc_timer_set(control->exits_timer, EXITS_INTERVAL_MS);
}

void control_send_exits(struct node_control *control)
{
    struct convert_sender sender = control_sender(control);
    struct exit_batch batch = {0};
    bool has_sent = false;
    while (control->current && exits_take(&control->exits, &batch)) {
        has_sent = control_send_take(control, convert_exits(&sender, &batch), false);
        if (!has_sent)
            exits_add_lost(&control->exits, &batch);
        exit_batch_done(&batch);
        if (!has_sent) {
            rpc_timer_set(control->exits_timer, INVENTORY_INTERVAL_MS);
            return;
        }
    }
    if (has_sent)
        control_inventory_changed(control, false); /* with the states after the restarts */
}
