/* The actors of the simulated world: each message makes them do something by chance. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler.h"
#include "world.h"

enum { CALLERS_MAX = 4, BURST_MAX = 80, AT_ONCE_TIMEOUT_MS = 100000, CROSSING_NS = 20 * 1000 * 1000 };

struct actor_state {
    struct record *record;
    struct histrio_caller callers[CALLERS_MAX]; /* to be answered later */
    size_t caller_count;
};

static const struct histrio_behavior random_behavior;

static uint64_t below(uint64_t bound)
{
    return rng_below(sim_rng(), bound);
}

static uint64_t pair(uint32_t from, uint32_t to)
{
    return (uint64_t)from << 32 | to;
}

/* ---- lists of what a record waits for ---- */

#define FIND_WAIT(list, wanted)                                                                              \
    __extension__({                                                                                          \
        struct wait *found_ = NULL;                                                                          \
        vec_for_each (wait_, list) {                                                                         \
            if (wait_->number == (wanted))                                                                   \
                found_ = wait_;                                                                              \
        }                                                                                                    \
        found_;                                                                                              \
    })

#define TAKE_WAIT(list, wait) vec_remove_swap(list, (size_t)((wait) - (list)->items))

static void drop_link(struct record *record, uint32_t peer)
{
    vec_for_each (link, &record->links) {
        if (*link == peer) {
            vec_remove_swap(&record->links, (size_t)(link - record->links.items));
            return;
        }
    }
}

static bool has_link(const struct record *record, uint32_t peer)
{
    vec_for_each (link, &record->links) {
        if (*link == peer)
            return true;
    }
    return false;
}

static void add_link(struct record *left, struct record *right)
{
    if (left == right || has_link(left, right->number))
        return;
    vec_push(&left->links, right->number);
    if (right->is_alive && !has_link(right, left->number))
        vec_push(&right->links, left->number);
}

static void expect_signal(uint32_t from, uint32_t to)
{
    uintptr_t count = (uintptr_t)map64_get(&world.signals, pair(from, to)) + 1;
    map64_put(&world.signals, pair(from, to), (void *)count);
}

/* ---- whom to do it to ---- */

static struct record *any_record(void)
{
    if (world.records.count < 2)
        return NULL;
    /* The young ones live more often. */
    uint64_t count = world.records.count - 1, young = count < 12 ? count : 12;
    uint64_t back = below(4) == 0 ? below(count) : below(young);
    return world.records.items[world.records.count - 1 - back];
}

/* By name, or by the reference of an incarnation, which may be over. */
static struct histrio_ref any_target(struct histrio_context *ctx, uint32_t *ret_identity)
{
    struct record *record = any_record();
    if (!record || below(2) == 0) {
        uint64_t name = below(world.name_count);
        *ret_identity = (uint32_t)name + 1;
        return histrio_lookup(ctx, world.names[name]);
    }
    *ret_identity = record->identity;
    return record->ref;
}

/* ---- acts ---- */

static void act_tell(struct histrio_context *ctx, const struct actor_state *state, uint32_t depth)
{
    uint32_t identity;
    struct histrio_ref to = any_target(ctx, &identity);
    uint64_t count = below(12) == 0 ? below(BURST_MAX) + 1 : 1;
    for (uint64_t i = 0; i < count; i++) {
        struct payload payload = world_payload(state->record->number, identity, count > 1 ? 0 : depth);
        world.tells++;
        (void)histrio_tell(ctx, to, histrio_type("act"), (const uint8_t *)&payload,
            sizeof(payload)); /* what does not arrive is a dead letter */
    }
}

static void act_ask(struct histrio_context *ctx, struct actor_state *state, uint32_t depth)
{
    uint32_t identity;
    struct histrio_ref to = any_target(ctx, &identity);
    struct payload payload = world_payload(state->record->number, identity, depth);
    uint32_t timeout_ms = (uint32_t)below(50) + 1;
    if (below(2) == 0) {
        payload.at_once = 1;
        timeout_ms = AT_ONCE_TIMEOUT_MS;
    }
    uint64_t ask =
        histrio_ask(ctx, to, histrio_type("act"), (const uint8_t *)&payload, sizeof(payload), timeout_ms);
    struct wait wait = {ask, 0, payload.at_once != 0, sim_now_ns() + timeout_ms * NS_PER_MS};
    vec_push(&state->record->asks, wait);
}

static void act_monitor(struct histrio_context *ctx, struct actor_state *state)
{
    struct record *record = any_record();
    if (!record)
        return;
    bool by_name = record->identity <= NAMES_MAX && below(3) == 0;
    struct histrio_ref ref = by_name ? histrio_lookup(ctx, world.names[record->identity - 1]) : record->ref;
    struct wait wait = {histrio_monitor(ctx, ref), by_name ? 0 : record->number, false, 0};
    vec_push(&state->record->monitors, wait);
}

static void act_demonitor(struct histrio_context *ctx, struct actor_state *state)
{
    if (state->record->monitors.count == 0)
        return;
    uint64_t index = below(state->record->monitors.count);
    histrio_demonitor(ctx, state->record->monitors.items[index].number);
    vec_remove_swap(&state->record->monitors, index);
}

static void act_link(struct histrio_context *ctx, struct actor_state *state)
{
    struct record *record = any_record();
    if (!record)
        return;
    uint64_t theirs = pair(record->number, state->record->number);
    if (below(4) == 0) {
        if (map64_has(&world.links_asked, theirs)) {
            /* Their link may be on its way to us: then our unlink comes before it, and ends nothing. */
            expect_signal(record->number, state->record->number);
            expect_signal(state->record->number, record->number);
        }
        drop_link(state->record, record->number);
        drop_link(record, state->record->number);
        map64_put(
            &world.unlinked_ns, pair(state->record->number, record->number), (void *)(uintptr_t)sim_now_ns());
        histrio_unlink(ctx, record->ref);
        return;
    }
    if (has_link(state->record, record->number))
        expect_signal(record->number, state->record->number); /* two links to the dead: two answers */
    uintptr_t unlinked_ns = (uintptr_t)map64_get(&world.unlinked_ns, theirs);
    if (unlinked_ns != 0 && sim_now_ns() - (int64_t)unlinked_ns < CROSSING_NS) {
        /* Their unlink may be on its way, and then wins over our link: nobody can say whether we are linked.
         */
        expect_signal(record->number, state->record->number);
        expect_signal(state->record->number, record->number);
        histrio_link(ctx, record->ref);
        return;
    }
    map64_put(&world.links_asked, pair(state->record->number, record->number), record);
    add_link(state->record, record);
    histrio_link(ctx, record->ref);
}

static void act_signal(struct histrio_context *ctx, struct actor_state *state)
{
    if (below(world.peace) != 0)
        return;
    static const char *const reasons[] = {"normal", "normal", "boom", "shutdown", "kill"};
    struct record *record = any_record();
    if (!record)
        return;
    expect_signal(state->record->number, record->number);
    histrio_exit(ctx, record->ref, reasons[below(5)]);
}

static void act_spawn(struct histrio_context *ctx, struct actor_state *state)
{
    uint64_t monitor = 0;
    struct histrio_ref ref;
    struct histrio_spawn_options options = {
        .link = below(2) == 0, .monitor = below(2) == 0, .ret_monitor = &monitor};
    options.mailbox_capacity = below(4) == 0 ? (uint32_t)below(10) + 1 : 0;
    uint8_t arguments[2] = {(uint8_t)below(2), below(10) == 0};
    if (histrio_spawn_behavior(ctx, &random_behavior, arguments, sizeof(arguments), &options, &ref) !=
        HISTRIO_OK)
        return;
    struct record *child = world_record_of(ref);
    if (!child) {
        sim_violation("a spawned actor has run no start");
        return;
    }
    if (options.link)
        add_link(state->record, child);
    if (options.monitor)
        vec_push(&state->record->monitors, ((struct wait){monitor, child->number, false, 0}));
}

static void act_timer(struct histrio_context *ctx, struct actor_state *state)
{
    struct record *record = state->record;
    if (record->timers.count > 0 && below(3) == 0) {
        uint64_t index = below(record->timers.count);
        (void)histrio_timer_cancel(
            ctx, record->timers.items[index].number); /* fired or not: it never comes now */
        vec_remove_swap(&record->timers, index);
        return;
    }
    uint32_t delay_ms = (uint32_t)below(30);
    uint64_t timer = histrio_timer_start(ctx, delay_ms, 0, histrio_type("timer"));
    vec_push(&record->timers, ((struct wait){timer, 0, false, sim_now_ns() + delay_ms * NS_PER_MS}));
}

static enum histrio_result act_end(struct histrio_context *ctx)
{
    static const char *const reasons[] = {"boom", "shutdown", "shutdown: so", "error"};
    if (below(3) == 0)
        return HISTRIO_STOP;
    histrio_fail(ctx, "%s", reasons[below(4)]);
    return HISTRIO_FAIL;
}

static enum histrio_result act(struct histrio_context *ctx, struct actor_state *state, uint32_t depth)
{
    if (depth == 0 || world.budget <= 0)
        return HISTRIO_CONTINUE;
    for (uint64_t i = below(3) + 1; i > 0; i--) {
        world.budget--;
        switch (below(16)) {
        case 0:
        case 1:
        case 2:
        case 3: act_tell(ctx, state, depth - 1); break;
        case 4:
        case 5:
        case 6: act_ask(ctx, state, depth - 1); break;
        case 7: act_monitor(ctx, state); break;
        case 8: act_demonitor(ctx, state); break;
        case 9:
        case 10: act_link(ctx, state); break;
        case 11: act_signal(ctx, state); break;
        case 12: act_spawn(ctx, state); break;
        case 13: act_timer(ctx, state); break;
        case 14:
            if (below(world.peace) == 0)
                return act_end(ctx);
            break;
        case 15:
            while (state->caller_count > 0)
                histrio_reply_to(ctx, state->callers[--state->caller_count], NULL, 0);
            break;
        }
    }
    return HISTRIO_CONTINUE;
}

/* ---- the behavior ---- */

static enum histrio_result start(
    struct histrio_context *ctx, void *data, const uint8_t *arguments, size_t size)
{
    struct actor_state *state = data;
    bool fails = size > 1 && arguments[1] != 0 && below(3) == 0;
    if (fails) {
        world_hash(1);
        histrio_fail(ctx, "no start");
        return HISTRIO_FAIL;
    }
    struct record *record = world_record_new();
    state->record = record;
    record->ref = histrio_self(ctx);
    record->is_alive = true;
    record->traps = size > 0 && arguments[0] != 0;
    record->identity = NAMES_MAX + record->number;
    for (size_t i = 0; i < world.name_count; i++) {
        if (strcmp(world.names[i], histrio_path(ctx)) == 0)
            record->identity = (uint32_t)i + 1;
    }
    histrio_trap_exits(ctx, record->traps);
    world_hash(2 + record->identity);
    return HISTRIO_CONTINUE;
}

static void stop(struct histrio_context *ctx, void *data, const char *reason)
{
    (void)ctx;
    struct actor_state *state = data;
    struct record *record = state->record;
    record->is_alive = false;
    (void)snprintf(record->reason, sizeof(record->reason), "%s", reason); /* a longer one is cut */
    world_hash(3 + record->number);
}

/* Rule 2. */
static void handle_outcome(struct actor_state *state, const struct histrio_message *message)
{
    struct wait *wait = FIND_WAIT(&state->record->asks, message->reference);
    if (!wait) {
        sim_violation("actor %u: an outcome of an ask that it does not wait for", state->record->number);
        return;
    }
    if (message->error == HISTRIO_TIMEOUT && sim_now_ns() < wait->due_ns)
        sim_violation("actor %u: an ask timed out too early", state->record->number);
    if (message->error == HISTRIO_TIMEOUT && wait->is_at_once && world.dead_node < 0)
        sim_violation("actor %u: no answer to an ask that is answered at once", state->record->number);
    TAKE_WAIT(&state->record->asks, wait);
}

/* Rule 3. */
static void handle_down(struct actor_state *state, const struct histrio_message *message)
{
    struct wait *wait = FIND_WAIT(&state->record->monitors, message->reference);
    if (!wait) {
        sim_violation("actor %u: DOWN of a monitor that it has not (any more)", state->record->number);
        return;
    }
    const struct record *target = wait->target ? world.records.items[wait->target] : NULL;
    const char *reason = (const char *)message->value;
    if (world.dead_node >= 0 && strcmp(reason, "noconnection") == 0 && target && target->is_alive)
        sim_violation(
            "actor %u: noconnection to actor %u, which lives", state->record->number, target->number);
    if (strcmp(reason, "noconnection") == 0)
        target = NULL; /* its own end may have been lost with its node */
    /* noproc also when an exit signal was on its way before the monitor. */
    if (target && target->is_alive && strcmp(reason, "noproc") != 0)
        sim_violation("actor %u: DOWN of actor %u, which lives", state->record->number, target->number);
    else if (target && !target->is_alive && strcmp(reason, "noproc") != 0 &&
             strncmp(reason, target->reason, 30) != 0)
        sim_violation("actor %u: DOWN with reason %s of actor %u, which ended with %s", state->record->number,
            reason, target->number, target->reason);
    TAKE_WAIT(&state->record->monitors, wait);
}

/* Rule 4, of those who trap. */
static enum histrio_result handle_exit(
    struct histrio_context *ctx, struct actor_state *state, const struct histrio_message *message)
{
    if (histrio_ref_equal(message->sender, histrio_parent(ctx)) && !world_record_of(message->sender))
        return HISTRIO_STOP; /* our supervisor */
    const struct record *from = world_record_of(message->sender);
    if (!from) {
        sim_violation("actor %u: EXIT from a stranger", state->record->number);
        return HISTRIO_CONTINUE;
    }
    uint64_t key = pair(from->number, state->record->number);
    uintptr_t signals = (uintptr_t)map64_get(&world.signals, key);
    bool noproc = strcmp((const char *)message->value, "noproc") == 0;
    if (has_link(state->record, from->number) && (!from->is_alive || noproc))
        drop_link(state->record, from->number);
    else if (signals > 0)
        map64_put(&world.signals, key, (void *)(signals - 1));
    else
        sim_violation("actor %u: EXIT (%s) from actor %u, no link and no signal", state->record->number,
            (const char *)message->value, from->number);
    return HISTRIO_CONTINUE;
}

/* Rule 5. */
static void handle_timer(struct actor_state *state, const struct histrio_message *message)
{
    struct wait *wait = FIND_WAIT(&state->record->timers, message->reference);
    if (!wait) {
        sim_violation("actor %u: a timer that it has not (any more)", state->record->number);
        return;
    }
    if (sim_now_ns() < wait->due_ns)
        sim_violation("actor %u: a timer came too early", state->record->number);
    TAKE_WAIT(&state->record->timers, wait);
}

static enum histrio_result handle_ask(
    struct histrio_context *ctx, struct actor_state *state, const struct payload *payload)
{
    uint64_t what = below(8);
    bool may_wait = payload->at_once == 0 && state->caller_count < CALLERS_MAX;
    if (what < 4)
        histrio_reply(ctx, NULL, 0);
    else if (what == 4)
        histrio_reply_error(ctx, HISTRIO_APPLICATION, "no");
    else if (what < 7 && may_wait)
        state->callers[state->caller_count++] = histrio_caller(ctx);
    else if (what == 7 && below(world.peace) == 0) {
        (void)histrio_caller(ctx); /* nobody answers it but our end */
        return act_end(ctx);
    } /* else: nil, when we return */
    return HISTRIO_CONTINUE;
}

static enum histrio_result receive(
    struct histrio_context *ctx, void *data, const struct histrio_message *message)
{
    struct actor_state *state = data;
    struct payload payload = {0};
    enum histrio_result result;
    world_hash(((uint64_t)state->record->number << 8 | message->kind) ^ (uint64_t)message->error << 40);
    switch ((enum histrio_kind)message->kind) {
    case HISTRIO_TELL:
    case HISTRIO_ASK:
        world.received += message->kind == HISTRIO_TELL;
        memcpy(&payload, message->value, sizeof(payload));
        world_check_order(state->record, &payload);
        result = message->kind == HISTRIO_ASK ? handle_ask(ctx, state, &payload) : HISTRIO_CONTINUE;
        return result == HISTRIO_CONTINUE ? act(ctx, state, payload.depth) : result;
    case HISTRIO_REPLY:
    case HISTRIO_ERROR: handle_outcome(state, message); return act(ctx, state, 1);
    case HISTRIO_DOWN: handle_down(state, message); return act(ctx, state, 1);
    case HISTRIO_ENDED:
    case HISTRIO_RESTARTED: return HISTRIO_CONTINUE; /* nobody here watches */
    case HISTRIO_EXIT: return handle_exit(ctx, state, message);
    case HISTRIO_TIMER: handle_timer(state, message); return act(ctx, state, 2);
    }
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior random_behavior = {
    .name = "random",
    .state_size = sizeof(struct actor_state),
    .start = start,
    .receive = receive,
    .stop = stop,
};

const struct histrio_library actors_library = {
    HISTRIO_ABI_VERSION, "sim", (const struct histrio_behavior *const[]){&random_behavior, NULL}};
