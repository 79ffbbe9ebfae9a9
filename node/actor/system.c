#include "actor/system.h"

#include "actor/outbox.h"
#include "actor/system_private.h"
#include "actor/watchdog.h"
#include "base/err.h"
#include "base/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { HANDLER_TIMEOUT_DEFAULT_MS = 10000 };

static void stop_job(struct worker *worker, struct message *message)
{
    (void)message;
    worker->is_stopping = true;
}

void system_post_job(struct actor_system *system, unsigned worker, uint64_t target, message_job job)
{
    struct message *message = message_new_outside(0);
    message->kind = MESSAGE_JOB;
    message->target = target;
    message->job = job;
    inbox_post(&system->workers[worker], message);
}

static unsigned choose_workers(unsigned wanted)
{
    if (wanted == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        wanted = cores > 0 ? (unsigned)cores : 1;
    }
    return wanted < ID_WORKERS_MAX ? wanted : ID_WORKERS_MAX;
}

struct actor_system *system_new(const struct actor_system_config *config)
{
    struct actor_system *system = xcalloc(1, sizeof(*system));
    system->config = *config;
    system->name = xstrdup(config->system ? config->system : "");
    system->config.system = system->name;
    if (system->config.handler_timeout_ms == 0)
        system->config.handler_timeout_ms = HANDLER_TIMEOUT_DEFAULT_MS;
    system->clock = config->clock ? config->clock : clock_system();
    system->worker_count = choose_workers(config->worker_count);
    names_init(&system->names);
    libraries_init(&system->libraries);
    units_init(&system->units);
    size_t bytes = system->worker_count * sizeof(*system->workers);
    system->workers = aligned_alloc(alignof(struct worker), bytes);
    if (!system->workers)
        abort(); /* as xmalloc does */
    for (unsigned i = 0; i < system->worker_count; i++)
        worker_init(&system->workers[i], system, i);
    return system;
}

void system_done(struct actor_system *system)
{
    for (unsigned i = 0; i < system->worker_count; i++)
        worker_drop_messages(&system->workers[i]);
    for (unsigned i = 0; i < system->worker_count; i++)
        worker_done(&system->workers[i]);
    free(system->workers);
    units_done(&system->units);
    names_done(&system->names);
    libraries_done(&system->libraries);
    free(system->name);
    free(system);
}

static void stop_threads(struct actor_system *system)
{
    for (unsigned i = 0; i < system->worker_count; i++)
        if (system->workers[i].thread)
            system_post_job(system, i, 0, stop_job);
    for (unsigned i = 0; i < system->worker_count; i++) {
        thread_join(system->workers[i].thread);
        system->workers[i].thread = NULL;
    }
}

int actor_system_new(
    const struct actor_system_config *config, struct actor_system **ret_system, struct err *err)
{
    struct actor_system *system = system_new(config);
    for (unsigned i = 0; i < system->worker_count; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "worker-%u", i); /* fits */
        if (thread_start(&system->workers[i].thread, name, worker_run, &system->workers[i], err) < 0) {
            actor_system_free(system, 0);
            return -1;
        }
    }
    if (watchdog_new(system, &system->watchdog, err) < 0) {
        actor_system_free(system, 0);
        return -1;
    }
    *ret_system = system;
    return 0;
}

void actor_system_free(struct actor_system *system, uint32_t timeout_ms)
{
    if (!system)
        return;
    atomic_store_explicit(&system->stopping, true, memory_order_relaxed);
    if (timeout_ms > 0)
        (void)units_stop_all(system, timeout_ms); /* what does not stop in time is cut off */
    watchdog_free(system->watchdog);
    stop_threads(system);
    system_done(system);
}

int actor_system_load_library(
    struct actor_system *system, const char *name, const char *path, struct err *err)
{
    return libraries_load(&system->libraries, name, path, err);
}

int actor_system_add_library(
    struct actor_system *system, const struct histrio_library *library, struct err *err)
{
    return libraries_add(&system->libraries, library, err);
}

bool actor_system_has_behavior(struct actor_system *system, const char *name)
{
    return libraries_find(&system->libraries, name) != NULL;
}

static void nothing_job(struct worker *worker, struct message *message)
{
    (void)worker; /* it was woken, which is all */
    (void)message;
}

void actor_system_set_suspended(struct actor_system *system, bool suspended)
{
    atomic_store_explicit(&system->suspended, suspended, memory_order_relaxed);
    for (unsigned i = 0; i < system->worker_count; i++) {
        atomic_store_explicit(&system->workers[i].suspended, suspended, memory_order_relaxed);
        system_post_job(system, i, 0, nothing_job);
    }
}
