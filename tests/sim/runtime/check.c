/* The rules of world.h that are not checked by an actor as it goes. */
#include <stdlib.h>
#include <string.h>

#include "actor/system_private.h"
#include "base/mem.h"
#include "scheduler.h"
#include "world.h"

/* ---- rule 1 ---- */

struct payload world_payload(uint32_t sender, uint32_t identity, uint32_t depth)
{
    uint64_t key = (uint64_t)sender << 32 | identity;
    uintptr_t sequence = (uintptr_t)map64_get(&world.sequences_sent, key) + 1;
    map64_put(&world.sequences_sent, key, (void *)sequence);
    return (struct payload){.sender = sender, .sequence = (uint32_t)sequence, .depth = depth};
}

void world_check_order(const struct record *receiver, const struct payload *payload)
{
    uint64_t key = (uint64_t)payload->sender << 32 | receiver->identity;
    uintptr_t last = (uintptr_t)map64_get(&world.sequences_received, key);
    if (payload->sequence == 0)
        return; /* from outside, where order is not promised: see send_from_outside() */
    if (payload->sequence <= last)
        sim_violation("actor %u got message %u of actor %u after %u", receiver->number, payload->sequence,
            payload->sender, (unsigned)last);
    map64_put(&world.sequences_received, key, (void *)(uintptr_t)payload->sequence);
}

/* ---- rule 8 ---- */

struct window *world_window(const char *path)
{
    struct window *window = map_get(&world.windows, path);
    if (!window) {
        window = xcalloc(1, sizeof(*window));
        map_put(&world.windows, path, window);
    }
    return window;
}

/* The supervisor of a path is what stands before its last part; of a unit's root, the unit itself. */
static struct window *window_above(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *above = xstrndup(path, slash ? (size_t)(slash - path) : strlen(path));
    struct window *window = world_window(above);
    free(above);
    return window;
}

void world_on_exited(void *ctx, const struct actor_exit_report *report)
{
    (void)ctx;
    world_hash(strlen(report->path) * 31 + strlen(report->decision));
    if (strchr(report->path, '/'))
        vec_clear(
            &world_window(report->path)->restarts_ns); /* if it was a supervisor, the next one counts anew */
    bool again = strncmp(report->decision, "Restart", 7) == 0,
         gives_up = strcmp(report->decision, "GiveUp") == 0;
    struct window *window = window_above(report->path);
    if (report->cause[0] != '\0' || window->period_ms == 0 || (!again && !gives_up))
        return;
    /* The supervisor reads the clock a moment before it reports: a millisecond may lie between. */
    size_t surely = 1, perhaps = 1;
    vec_for_each (at_ns, &window->restarts_ns) {
        int64_t age_ms = sim_now_ns() / NS_PER_MS - *at_ns / NS_PER_MS;
        surely += age_ms + 1 < window->period_ms;
        perhaps += age_ms <= window->period_ms + 1;
    }
    if (again && surely > window->restarts_max)
        sim_violation("\"%s\" was restarted %zu times in %u ms, allowed are %u", report->path, surely,
            window->period_ms, window->restarts_max);
    if (gives_up && perhaps <= window->restarts_max && strcmp(report->reason, "no start") != 0 &&
        strncmp(report->reason, "shutdown: child", 15) != 0)
        sim_violation("\"%s\" gave up after %zu of %u restarts", report->path, perhaps, window->restarts_max);
    vec_push(&window->restarts_ns, sim_now_ns());
}

/* ---- when everything is quiet ---- */

static void check_record(const struct record *record)
{
    if (!record->is_alive)
        return;
    if (record->asks.count > 0)
        sim_violation("actor %u waits for the outcome of an ask, and everything is quiet", record->number);
    if (record->timers.count > 0)
        sim_violation("actor %u waits for a timer, and everything is quiet", record->number);
    vec_for_each (wait, &record->monitors) {
        if (wait->target && !world.records.items[wait->target]->is_alive)
            sim_violation("actor %u has heard no DOWN of actor %u", record->number, wait->target);
    }
    vec_for_each (link, &record->links) {
        const struct record *peer = world.records.items[*link];
        bool must_know = !peer->is_alive && (record->traps || strcmp(peer->reason, "normal") != 0);
        if (must_know)
            sim_violation("actor %u lives, and is linked with actor %u, which ended: %s", record->number,
                peer->number, peer->reason);
    }
}

static void check_state(void *ctx, const struct actor_info *info)
{
    (void)ctx;
    if (strcmp(info->state, "Running") != 0 && strcmp(info->state, "Stopped") != 0)
        sim_violation("\"%s\" is %s, and everything is quiet", info->path, info->state);
}

static const struct actor *actor_of(struct histrio_ref ref)
{
    unsigned node = (unsigned)(ref.node - SIM_NODE_UID);
    if ((int)node == world.dead_node)
        return NULL;
    const struct actor_system *system = sim_system(node);
    const struct actor *actor = registry_find(&system->workers[id_worker(ref.id)], ref.id);
    return actor && (actor->flags & ACTOR_ALIVE) != 0 ? actor : NULL;
}

/* Rule 4: a link has two ends. */
static void check_links(const struct worker *worker, const struct actor *actor)
{
    if ((actor->flags & ACTOR_ALIVE) == 0 || !actor->ties)
        return;
    struct histrio_ref self = {worker->node_uid, actor_id(actor)};
    if (actor->ties->unlinking.count > 0)
        sim_violation("an actor of worker %u waits for the end of an unlink", worker->number);
    vec_for_each (link, &actor->ties->links) {
        const struct actor *peer = actor_of(link->ref);
        bool is_mutual = false;
        if (peer && peer->ties) {
            vec_for_each (back, &peer->ties->links)
                is_mutual |= histrio_ref_equal(back->ref, self);
        }
        if (!is_mutual)
            sim_violation("actor %llx is linked with %llx of node %llx, which is not with it",
                (unsigned long long)self.id, (unsigned long long)link->ref.id,
                (unsigned long long)link->ref.node);
    }
}

/* Rules 6 and 7. */
static void check_worker(const struct worker *worker, uint64_t *waiting_tells)
{
    if (worker->run_first || worker->pending_outboxes)
        sim_violation("worker %u sleeps, and has work", worker->number);
    for (uint32_t slot = 0; slot < worker->slot_end; slot++) {
        const struct actor *actor = registry_slot(worker, slot);
        check_links(worker, actor);
        if ((actor->flags & ACTOR_MUTED) != 0)
            sim_violation("an actor of worker %u is muted, and everything is quiet", worker->number);
        if ((actor->flags & ACTOR_ALIVE) != 0 && actor->first)
            sim_violation("an actor of worker %u has messages, and everything is quiet", worker->number);
        for (const struct message *message = actor->first; message; message = message->next)
            *waiting_tells += message->kind == HISTRIO_TELL;
    }
}

void world_check_quiet(void)
{
    uint64_t waiting_tells = world.tells_on_the_way, dead_letters = world.tells_refused;
    vec_for_each (record, &world.records)
        check_record(*record);
    for (unsigned node = 0; node < world.node_count; node++) {
        if ((int)node == world.dead_node)
            continue;
        struct actor_counters counters = {0};
        struct actor_system *system = sim_system(node);
        actor_system_list(system, "", check_state, NULL);
        for (unsigned i = 0; i < system->worker_count; i++)
            check_worker(&system->workers[i], &waiting_tells);
        actor_system_counters(system, &counters);
        dead_letters += counters.dead_letters;
    }
    if (world.dead_node >= 0)
        return; /* what it had is lost */
    if (world.tells != world.received + dead_letters + waiting_tells)
        sim_violation("%llu tells, %llu received, %llu dead letters, %llu waiting",
            (unsigned long long)world.tells, (unsigned long long)world.received,
            (unsigned long long)dead_letters, (unsigned long long)waiting_tells);
    if (world.outside_asks != world.outside_answers)
        sim_violation("%llu asks from outside, %llu answers", (unsigned long long)world.outside_asks,
            (unsigned long long)world.outside_answers);
}
