#include "actor/timer.h"

#include "base/clock.h"

#include <assert.h>

enum { LEVEL_BITS = 8, SLOT_MASK = WHEEL_SLOTS - 1 };

/* Invariants: 1. A running timer of level 0 is in slot tick & 255, and wheel->tick < tick <= wheel->tick +
 * 256. 2. One of level n is in slot (tick >> 8n) & 255 and moves down when wheel->tick reaches the start of
 * that slot's range, before anything in it is due. 3. Timers beyond the last level wait in its furthest slot
 * and are placed again from there. */

void wheel_init(struct wheel *wheel, int64_t now_ns)
{
    *wheel = (struct wheel){.tick = now_ns / NS_PER_MS};
    for (unsigned level = 0; level < WHEEL_LEVELS; level++)
        for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
            list_init(&wheel->slots[level][slot]);
}

static void wheel_place(struct wheel *wheel, struct timer *timer)
{
    int64_t distance = timer->tick - wheel->tick;
    assert(distance > 0);
    unsigned level = 0;
    while (level < WHEEL_LEVELS - 1 && distance > INT64_C(1) << (LEVEL_BITS * (level + 1)))
        level++;
    int64_t tick = timer->tick;
    int64_t furthest = wheel->tick + (INT64_C(1) << (LEVEL_BITS * WHEEL_LEVELS)) - 1;
    if (tick > furthest)
        tick = furthest;
    unsigned slot = (unsigned)(tick >> (LEVEL_BITS * level)) & SLOT_MASK;
    list_push_back(&wheel->slots[level][slot], &timer->node);
    if (level == 0)
        wheel->used[slot / 64] |= UINT64_C(1) << (slot % 64);
}

void wheel_start(struct wheel *wheel, struct timer *timer, int64_t deadline_ns, timer_fire fire)
{
    assert(!list_node_is_linked(&timer->node));
    timer->tick = (deadline_ns + NS_PER_MS - 1) / NS_PER_MS;
    if (timer->tick <= wheel->tick)
        timer->tick = wheel->tick + 1;
    timer->fire = fire;
    wheel_place(wheel, timer);
    wheel->count++;
}

void wheel_cancel(struct wheel *wheel, struct timer *timer)
{
    if (!list_node_is_linked(&timer->node))
        return;
    list_remove(&timer->node);
    wheel->count--;
}

/* Moves down what is in the slot whose range begins at tick `at`; wheel->tick is one before that. */
static void wheel_cascade(struct wheel *wheel, unsigned level, int64_t at)
{
    unsigned slot = (unsigned)(at >> (LEVEL_BITS * level)) & SLOT_MASK;
    if (slot == 0 && level + 1 < WHEEL_LEVELS)
        wheel_cascade(wheel, level + 1, at);
    struct list due;
    list_init(&due);
    list_append_all(&due, &wheel->slots[level][slot]);
    struct list_node *node;
    while ((node = list_pop_front(&due)))
        wheel_place(wheel, list_entry(node, struct timer, node));
}

static unsigned wheel_fire_slot(struct wheel *wheel, struct worker *worker)
{
    unsigned slot = (unsigned)wheel->tick & SLOT_MASK, fired = 0;
    if (!(wheel->used[slot / 64] & UINT64_C(1) << (slot % 64)))
        return 0;
    struct list due;
    list_init(&due);
    list_append_all(&due, &wheel->slots[0][slot]);
    wheel->used[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    struct list_node *node;
    while ((node = list_pop_front(&due))) {
        struct timer *timer = list_entry(node, struct timer, node);
        assert(timer->tick <= wheel->tick);
        wheel->count--;
        fired++;
        timer->fire(worker, timer);
    }
    return fired;
}

static bool wheel_level_0_is_empty(const struct wheel *wheel)
{
    return (wheel->used[0] | wheel->used[1] | wheel->used[2] | wheel->used[3]) == 0;
}

unsigned wheel_advance(struct wheel *wheel, struct worker *worker, int64_t now_ns)
{
    int64_t now = now_ns / NS_PER_MS;
    unsigned fired = 0;
    while (wheel->tick < now) {
        if (wheel->count == 0) {
            wheel->tick = now; /* nothing to move down or to fire on the way */
            break;
        }
        int64_t boundary = wheel->tick | SLOT_MASK; /* the last tick before the next cascade */
        if (wheel_level_0_is_empty(wheel) && boundary > wheel->tick) {
            wheel->tick = boundary < now ? boundary : now;
            continue;
        }
        if (wheel->tick == boundary)
            wheel_cascade(wheel, 1, wheel->tick + 1);
        wheel->tick++;
        fired += wheel_fire_slot(wheel, worker);
    }
    return fired;
}

int64_t wheel_next_ns(const struct wheel *wheel)
{
    if (wheel->count == 0)
        return INT64_MAX;
    int64_t boundary = (wheel->tick | SLOT_MASK) + 1;
    for (int64_t tick = wheel->tick + 1; tick < boundary; tick++) {
        unsigned slot = (unsigned)tick & SLOT_MASK;
        if (wheel->used[slot / 64] & UINT64_C(1) << (slot % 64))
            return tick * NS_PER_MS;
    }
    return boundary * NS_PER_MS;
}
