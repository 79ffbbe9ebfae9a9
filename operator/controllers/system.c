#include <stdlib.h>
#include <string.h>

#include "api/pod.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/system_private.h"
#include "core/core.h"
#include "drivers/kubernetes.h"
#include "kube/object.h"

enum {
    STALE_WAIT_MS = 50,  /* for a cache that is behind */
    ROUNDS_MAX = 16,     /* of acting and working; the rest comes in the next reconcile */
    LOST_RETRY_MS = 200, /* after somebody else wrote the fence record */
};

struct system *system_new(const struct system_context *context, const char *key)
{
    struct system *system = xcalloc(1, sizeof(*system));
    const char *name = kube_key_name(key);
    system->context = context;
    system->key = xstrdup(key);
    system->namespace = xstrndup(key, (size_t)(name - key) - 1);
    system->name = xstrdup(name);
    inbox_init(&system->inbox);
    return system;
}

/* What a person has to do something about is shown; everything else gets better by trying again. */
static void set_trouble(struct system *system, const struct err *err)
{
    bool is_lasting =
        err && (err->kind == ERR_CONFLICT || err->kind == ERR_INVALID || err->kind == ERR_DENIED);
    const char *text = is_lasting ? err->text : NULL;
    if (text_equal(text, system->trouble))
        return;
    free(system->trouble);
    system->trouble = text ? xstrdup(text) : NULL;
    system_status_changed(system);
}

static void forget_object(struct system *system)
{
    system_end(system);
    status_pool_wait(system->context->statuses, &system->status_job);
    if (system->has_writer)
        status_writer_done(&system->writer);
    system->has_writer = false;
    free(system->uid);
    system->uid = NULL;
    free(system->problems_told);
    system->problems_told = NULL;
    set_trouble(system, NULL);
    system->requests_done = 0;
    system->requests_version = 0;
    system->generation = 0;
}

void system_free(struct system *system)
{
    if (!system)
        return;
    forget_object(system);
    inbox_done(&system->inbox);
    free(system->key);
    free(system->namespace);
    free(system->name);
    free(system);
}

const char *system_key(const struct system *system)
{
    return system->key;
}

void system_numbers(const struct system *system, struct system_numbers *ret_numbers)
{
    *ret_numbers = system->numbers;
}

void system_lost_pod(struct system *system, struct pod *pod)
{
    inbox_push_lost(&system->inbox, pod);
}

/* The object may be another one of the same name. */
static void meet_object(struct system *system, const struct cached_system *cached)
{
    if (text_equal(system->uid, cached->head.uid))
        return;
    forget_object(system);
    system->uid = xstrdup(cached->head.uid);
    system->owner = (struct object_owner){system->namespace, system->name, system->uid};
    status_writer_init(&system->writer, system->context->client, &system->owner, cached->conditions != NULL);
    system->has_writer = true;
}

static void apply_event(struct system *system, struct control_event *event)
{
    const char *text = "";
    if (!control_event_apply(event, system->core, &text))
        system_event(system, true, "ControlRefused", text);
    control_event_free(event);
}

static void free_lost(struct lost_pods *lost)
{
    vec_for_each (pod, &lost->list)
        kube_object_unref(&(*pod)->head);
    vec_done(&lost->list);
}

/* The inbox is taken before the cache is read: whatever left the cache is in the one or the other. */
static void take_news(struct system *system)
{
    struct caches *caches = system->context->caches;
    struct kube_objects pods = {0};
    struct lost_pods lost;
    struct list events;
    struct list_node *link;
    inbox_take(&system->inbox, &events, &lost);
    uint64_t version = caches_pods_version(caches);
    caches_pods(caches, system->key, &pods);
    int64_t now_ms = shell_tick(&system->shell);
    while ((link = list_pop_front(&events)))
        apply_event(system, control_event_of_link(link));
    system_nodes_observe(&system->nodes, &pods, &lost, version, now_ms);
    kube_objects_done(&pods);
    free_lost(&lost);
}

static void drop_news(struct system *system)
{
    struct lost_pods lost;
    struct list events;
    struct list_node *link;
    inbox_take(&system->inbox, &events, &lost);
    while ((link = list_pop_front(&events)))
        control_event_free(control_event_of_link(link));
    free_lost(&lost);
}

/* Acting makes work for the driver, whose news make the core act. */
static void act(struct system *system)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        int64_t now_ms = shell_tick(&system->shell);
        shell_act(&system->shell);
        if (system->shell.is_lost || kubernetes_due_ms(system->driver) > now_ms)
            return;
        kubernetes_work(system->driver, core_spec(system->core), now_ms, system_may_act, system);
    }
}

static void wake_by(int64_t *wake_ms, int64_t at_ms, int64_t now_ms)
{
    int64_t wait_ms = at_ms > now_ms ? at_ms - now_ms : 0;
    if (at_ms != INT64_MAX && (*wake_ms < 0 || wait_ms < *wake_ms))
        *wake_ms = wait_ms;
}

static int64_t next_wake(const struct system *system, int64_t now_ms)
{
    int64_t wake_ms = -1;
    if (system->is_status_changed && !status_pool_has(system->context->statuses, &system->status_job))
        wake_by(&wake_ms, system->status_due_ms, now_ms);
    if (!system->core)
        return wake_ms;
    wake_by(&wake_ms, system->shell.wake_at_ms, now_ms);
    wake_by(&wake_ms, kubernetes_due_ms(system->driver), now_ms);
    wake_by(&wake_ms, system->nodes.due_ms, now_ms);
    wake_by(&wake_ms, system->certificates_ms, now_ms);
    wake_by(&wake_ms, system->owned_ms, now_ms);
    return wake_ms;
}

/* With a core, as leader. */
static int run(struct system *system, struct cached_system *cached, struct err *err)
{
    bool is_done = false;
    system_take_spec(system, cached);
    take_news(system);
    system_requests(system, cached, &is_done);
    act(system);
    if (system->shell.is_lost) {
        system_end(system);
        return err_set(err, ERR_CONFLICT, "another leader is in charge, or may be");
    }
    if (is_done && system_requests_remove(system, cached, err) < 0)
        return -1;
    system_upkeep(system, clock_now_ms(system->context->clock));
    return 0;
}

/* 1: this process leads, and has to look after the system now. */
static bool is_in_charge(struct system *system, const struct cached_system *cached)
{
    uint64_t leadership = system->context->leadership(system->context->ctx);
    if (system->core && leadership != system->leadership)
        system_end(system);
    if (cached->object->is_deleting)
        system_end(system); /* its Pods go by their owner reference */
    return leadership != 0 && !cached->object->is_deleting;
}

static int begin(struct system *system, struct cached_system *cached, struct err *err)
{
    int64_t now_ms = clock_now_ms(system->context->clock);
    status_pool_wait(system->context->statuses, &system->status_job);
    if (!cached->conditions && !system->writer.written &&
        system_write_first_status(system, cached, now_ms, err) < 0)
        return -1;
    return system_begin(system, cached, err);
}

static int reconcile(
    struct system *system, struct cached_system *cached, int64_t *ret_wake_ms, struct err *err)
{
    struct err status_err = {0};
    int failed = 0;
    meet_object(system, cached);
    if (!is_in_charge(system, cached)) {
        drop_news(system);
        return 0;
    }
    if (system->generation != cached->object->generation)
        system_status_changed(system);
    system->generation = cached->object->generation;
    if (!system->core && cached->object->spec) {
        failed = begin(system, cached, err);
        set_trouble(system, failed ? err : NULL);
    }
    if (system->core)
        failed = run(system, cached, err);
    else
        drop_news(system);
    int64_t now_ms = clock_now_ms(system->context->clock);
    if (system_write_status(system, cached, now_ms, &status_err) < 0 && !failed)
        failed = err_set(err, status_err.kind, "%s", status_err.text);
    /* Without a core, and nothing to say about that, the retry is all that there is to do. */
    bool has_work = system->core || system->trouble || !cached->object->spec;
    *ret_wake_ms = has_work ? next_wake(system, now_ms) : -1;
    return failed;
}

int system_reconcile(
    struct system *system, enum system_outcome *ret_outcome, int64_t *ret_wake_ms, struct err *err)
{
    struct cached_system *cached = caches_system(system->context->caches, system->key);
    *ret_outcome = SYSTEM_DONE;
    *ret_wake_ms = -1;
    if (!cached) {
        forget_object(system);
        *ret_outcome = SYSTEM_GONE;
        return 0;
    }
    int failed = reconcile(system, cached, ret_wake_ms, err);
    kube_object_unref(&cached->head);
    return failed;
}
