#include "node_control/changes.h"

#include "base/mem.h"
#include "node_control/ranks.h"

#include <stdlib.h>

void changes_init(struct changes *changes)
{
    *changes = (struct changes){0};
    mutex_init(&changes->lock, RANK_NODE_CONTROL_CHANGES, "node_control.changes");
}

void change_list_done(struct change_list *list)
{
    vec_for_each (change, &list->items) {
        free(change->unit);
        free(change->reason);
    }
    vec_done(&list->items);
}

void changes_done(struct changes *changes)
{
    change_list_done(&changes->waiting);
    mutex_done(&changes->lock);
}

bool changes_add(struct changes *changes, const char *unit, uint64_t epoch, enum actor_unit_state state,
    const char *reason)
{
    struct change change = {
        .unit = xstrdup(unit), .reason = xstrdup(reason ? reason : ""), .epoch = epoch, .state = state};
    mutex_lock(&changes->lock);
    bool was_empty = changes->waiting.items.count == 0;
    vec_push(&changes->waiting.items, change);
    mutex_unlock(&changes->lock);
    return was_empty;
}

struct change_list changes_take(struct changes *changes)
{
    mutex_lock(&changes->lock);
    struct change_list list = changes->waiting;
    changes->waiting = (struct change_list){0};
    mutex_unlock(&changes->lock);
    return list;
}
