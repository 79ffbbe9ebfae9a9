/* node_control/changes.h: changes of units, from worker threads to the control loop, in order. Their number
 * is bounded by the assignments under way, so none is ever dropped. Any thread: each function takes the
 * queue's lock. */
#pragma once

#include "actor/system.h"
#include "base/mutex.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stdint.h>

struct change {
    char *unit;
    char *reason;
    uint64_t epoch;
    enum actor_unit_state state;
};

struct change_list {
    VEC(struct change) items;
};

struct changes {
    struct mutex lock;
    struct change_list waiting GUARDED_BY(&lock);
};

void changes_init(struct changes *changes);
void changes_done(struct changes *changes);

/* True: the queue was empty before, so somebody has to be told. */
bool changes_add(struct changes *changes, const char *unit, uint64_t epoch, enum actor_unit_state state,
    const char *reason);
/* All of them; the caller ends the list. */
struct change_list changes_take(struct changes *changes);
void change_list_done(struct change_list *list);
