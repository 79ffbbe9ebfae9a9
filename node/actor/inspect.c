/* system.h: looking in. */
#include "actor/system_private.h"

#include <stdio.h>

static void set_text(char *buffer, size_t size, const char *text)
{
    (void)snprintf(buffer, size, "%s", text ? text : ""); /* longer ones are cut */
}

static bool is_below(const char *path, const char *below)
{
    size_t size = strlen(below);
    return size == 0 || (strncmp(path, below, size) == 0 && (path[size] == 0 || path[size] == '/'));
}

static void fill_info(const struct name_entry *entry, const char *path, struct actor_info *info)
{
    *info = (struct actor_info){.epoch = entry->epoch,
        .incarnation = entry->incarnation,
        .state = entry->state,
        /* The actor may go on or end meanwhile: it is a number for people. Slots are never given back. */
        .mailbox_depth = entry->actor ? actor_depth(entry->actor) : 0,
        .last_exit_wall_ms = entry->last_exit_wall_ms};
    set_text(info->path, sizeof(info->path), path);
    set_text(info->unit, sizeof(info->unit), entry->unit);
    set_text(info->behavior, sizeof(info->behavior), entry->behavior);
    set_text(info->last_exit_reason, sizeof(info->last_exit_reason), entry->last_reason);
}

void actor_system_list(struct actor_system *system, const char *below,
    void (*row)(void *ctx, const struct actor_info *info), void *ctx)
{
    struct names *names = &system->names;
    VEC(struct actor_info) rows = {0};
    mutex_lock(&names->lock);
    vec_for_each (entry, &names->entries) {
        const char *path = intern_text((*entry)->name);
        if ((*entry)->state && is_below(path, below ? below : ""))
            fill_info(*entry, path, vec_push_new(&rows));
    }
    mutex_unlock(&names->lock);
    vec_for_each (info, &rows)
        row(ctx, info); /* not under the lock: it may take its time */
    vec_done(&rows);
}

static uint64_t idle_of(const struct worker_counters *counters, int64_t now_ns)
{
    uint64_t idle_ns = atomic_load_explicit(&counters->idle_ns, memory_order_relaxed);
    int64_t since_ns = atomic_load_explicit(&counters->idle_since_ns, memory_order_relaxed);
    return since_ns > 0 && now_ns > since_ns ? idle_ns + (uint64_t)(now_ns - since_ns) : idle_ns;
}

void actor_system_counters(struct actor_system *system, struct actor_counters *ret_counters)
{
    struct actor_counters sum = {0};
    uint64_t idle_ns = 0;
    int64_t now_ns = clock_now_ns(system->clock);
    for (unsigned i = 0; i < system->worker_count; i++) {
        const struct worker_counters *counters = &system->workers[i].counters;
        sum.messages += atomic_load_explicit(&counters->messages, memory_order_relaxed);
        sum.spawned += atomic_load_explicit(&counters->spawned, memory_order_relaxed);
        sum.exited += atomic_load_explicit(&counters->exited, memory_order_relaxed);
        sum.restarts += atomic_load_explicit(&counters->restarts, memory_order_relaxed);
        sum.dead_letters += atomic_load_explicit(&counters->dead_letters, memory_order_relaxed);
        sum.timers_fired += atomic_load_explicit(&counters->timers_fired, memory_order_relaxed);
        sum.kept_bytes += atomic_load_explicit(&counters->kept_bytes, memory_order_relaxed);
        idle_ns += idle_of(counters, now_ns);
        sum.actors += atomic_load_explicit(&counters->actors, memory_order_relaxed);
    }
    mutex_lock(&system->names.lock);
    vec_for_each (entry, &system->names.entries) {
        if ((*entry)->actor && (*entry)->state)
            sum.mailbox_depth += actor_depth((*entry)->actor);
    }
    /* Since the last look. */
    double all_ns = (double)(now_ns - system->counted_at_ns) * system->worker_count;
    double busy_ns = all_ns - ((double)idle_ns - (double)system->counted_idle_ns);
    if (system->counted_at_ns > 0 && all_ns > 0 && busy_ns > 0)
        sum.busy_permille = (uint32_t)(busy_ns < all_ns ? busy_ns / all_ns * 1000 : 1000);
    system->counted_at_ns = now_ns;
    system->counted_idle_ns = idle_ns;
    mutex_unlock(&system->names.lock);
    *ret_counters = sum;
}
