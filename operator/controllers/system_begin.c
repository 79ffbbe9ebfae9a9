#include <inttypes.h>
#include <stdlib.h>

#include "api/kube_node.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "certs/certs.h"
#include "controllers/owned.h"
#include "controllers/system_private.h"
#include "core/core.h"
#include "drivers/kubernetes.h"
#include "drivers/pod_build.h"
#include "kube/workqueue.h"
#include "rpc/creds.h"
#include "types/fence_record.h"
#include "types/system.h"

enum {
    OWNED_INTERVAL_MS = 10 * 60 * 1000,
    STATUS_FIRST_MS = 1000, /* after a change of leader there is more urgent work, also for other systems */
    UPKEEP_RETRY_MS = 2000,
    UPKEEP_RETRY_MAX_MS = 5 * 60 * 1000,
    CERTIFICATES_MAX_MS = 60 * 60 * 1000,
};

bool system_may_act(void *ctx)
{
    struct system *system = ctx;
    const struct system_context *context = system->context;
    return control_gate_is_open(context->gate) && context->leadership(context->ctx) == system->leadership;
}

/* ---- hands of the shell ---- */

static int write_fence(void *ctx, const struct fence_record *record, struct err *err)
{
    struct system *system = ctx;
    return fence_store_write(&system->fence, record, err);
}

static int create_node(void *ctx, const struct core_action *action, struct err *err)
{
    struct system *system = ctx;
    (void)err; /* noting it never fails */
    kubernetes_create(system->driver, action);
    return 0;
}

static int delete_node(void *ctx, const struct core_action *action, struct err *err)
{
    struct system *system = ctx;
    (void)err; /* noting it never fails */
    kubernetes_delete(system->driver, action);
    return 0;
}

static void tell_event(void *ctx, const struct core_action *action)
{
    system_event(ctx, action->is_warning, action->reason, action->text);
}

static void note_status(void *ctx)
{
    struct system *system = ctx;
    system_status_changed(system);
}

/* ---- hands of the nodes ---- */

static void dial(void *ctx, const char *node, const char *address)
{
    struct system *system = ctx;
    if (address)
        control_dial(system->control, node, address);
    else
        control_hang_up(system->control, node);
}

static struct kube_node *find_kube_node(void *ctx, const char *name)
{
    struct system *system = ctx;
    return caches_kube_node(system->context->caches, name);
}

static void on_driver_news(const struct kubernetes_news *news, void *ctx)
{
    struct system *system = ctx;
    (void)shell_tick(&system->shell); /* the core wants to know the time, we do not */
    system_nodes_news(&system->nodes, news);
}

/* On the loop's thread. */
static void on_control_event(struct control_event *event, void *ctx)
{
    struct system *system = ctx;
    inbox_push_event(&system->inbox, event);
    kube_workqueue_add(system->context->queue, system->key, KUBE_PRIORITY_NORMAL);
}

/* ---- begin ---- */

static int load_creds(struct system *system, struct rpc_creds **ret_creds, struct err *err)
{
    struct clock *clock = system->context->clock;
    int64_t now_s = clock_wall_ms(clock) / MS_PER_S;
    int64_t next_s = now_s;
    _cleanup_(certs_content_done) struct certs_content content = {0};
    if (owned_ensure_certificates(system->context->client, &system->owner, now_s, &content, &next_s, err) < 0)
        return -1;
    int64_t wait_ms = (next_s - now_s) * MS_PER_S;
    wait_ms = wait_ms < UPKEEP_RETRY_MS ? UPKEEP_RETRY_MS : wait_ms;
    system->certificates_ms =
        clock_now_ms(clock) + (wait_ms < CERTIFICATES_MAX_MS ? wait_ms : CERTIFICATES_MAX_MS);
    return rpc_creds_from_memory(
        content.authorities, content.operator_chain, content.operator_key, ret_creds, err);
}

static int make_control(struct system *system, struct err *err)
{
    struct rpc_creds *creds = NULL;
    if (load_creds(system, &creds, err) < 0)
        return -1;
    struct control_config config = {.system = system->name,
        .system_uid = system->uid,
        .software = system->context->software,
        .code_folders = "", /* Pods know theirs */
        .listener = on_control_event,
        .ctx = system,
        .loop = system->context->loop,
        .gate = system->context->gate,
        .creds = creds};
    int failed = control_new(&config, &system->control, err);
    rpc_creds_unref(creds);
    return failed;
}

static int make_core(struct system *system, const struct cached_system *cached, struct err *err)
{
    struct fence_record record = {0};
    struct rng rng;
    system->fence = (struct fence_store){.client = system->context->client, .owner = system->owner};
    if (fence_store_read(&system->fence, &record, &system->was_found, err) < 0)
        return -1;
    struct core_options options = {
        .system_uid = system->uid, .seed = rng_seed_from_system(&rng), .cannot_kill = true};
    system->core = core_new(&options, cached->object->spec, system->was_found ? &record : NULL);
    fence_record_done(&record);
    system->spec_generation = cached->object->generation;
    return 0;
}

static void make_shell(struct system *system)
{
    system->shell = (struct shell){.core = system->core,
        .control = system->control,
        .clock = system->context->clock,
        .hands = {.write_fence = write_fence,
            .create_node = create_node,
            .delete_node = delete_node,
            .event = tell_event,
            .status_changed = note_status,
            .may_act = system_may_act,
            .ctx = system}};
    system->nodes = (struct system_nodes){.owner_uid = system->uid,
        .core = system->core,
        .driver = system->driver,
        .hands = {.dial = dial,
            .kube_node = find_kube_node,
            .has_kube_nodes = caches_has_kube_nodes(system->context->caches),
            .ctx = system}};
}

/* What is there already, before the first plan. Not by the cache: it may not have seen yet what a former
 * leader did last, and a Pod that is missing here is taken for gone. */
static int observe_first(struct system *system, struct err *err)
{
    const struct system_context *context = system->context;
    struct kube_objects pods = {0};
    struct lost_pods lost = {0};
    uint64_t version = 0;
    if (caches_list_pods(
            context->caches, system->key, context->required(context->ctx), &pods, &version, err) < 0)
        return -1;
    system_nodes_observe(&system->nodes, &pods, &lost, version, shell_tick(&system->shell));
    system->nodes.listed_version = version;
    kube_objects_done(&pods);
    core_nodes_listed(system->core);
    return 0;
}

/* A leader that saw it ready had made its Service and PodDisruptionBudget; one that died before may not have.
 */
static bool was_ready(const struct json *conditions)
{
    json_for_each(
        row, conditions) if (text_equal(json_string(json_get(row, "type")),
                                 "Ready")) return text_equal(json_string(json_get(row, "status")), "True");
    return false;
}

/* Spread: all systems of a new leader begin at once. */
static int64_t first_owned_ms(const struct system *system)
{
    return system->began_ms + (int64_t)(hash_string(system->uid) % OWNED_INTERVAL_MS);
}

int system_begin(struct system *system, struct cached_system *cached, struct err *err)
{
    char hash[POD_TEMPLATE_HASH_BYTES];
    system->leadership = system->context->leadership(system->context->ctx);
    system->began_ms = clock_now_ms(system->context->clock);
    struct kubernetes_driver_config driver = {
        .client = system->context->client, .owner = system->owner, .listener = on_driver_news, .ctx = system};
    if (make_control(system, err) < 0 || make_core(system, cached, err) < 0) {
        system_end(system);
        return -1;
    }
    system->driver = kubernetes_driver_new(&driver);
    make_shell(system);
    core_template_changed(system->core, pod_template_hash(cached->object->spec, hash));
    if (observe_first(system, err) < 0) {
        system_end(system);
        return -1;
    }
    backoff_init(&system->upkeep_backoff, UPKEEP_RETRY_MS, UPKEEP_RETRY_MAX_MS, 0);
    system->owned_ms = was_ready(cached->conditions) ? first_owned_ms(system) : 0;
    if (system->was_found)
        system->status_due_ms = system->began_ms + STATUS_FIRST_MS;
    system_status_changed(system);
    log_event(LOG_INFO, "system taken over", "system", system->key, "term",
        log_number(core_term(system->core)), NULL);
    return 0;
}

/* Streams first: their events name the system. */
void system_end(struct system *system)
{
    if (system->core) { /* whoever leads next may write another status */
        status_pool_wait(system->context->statuses, &system->status_job);
        status_writer_done(&system->writer);
        status_writer_init(&system->writer, system->context->client, &system->owner, true);
    }
    control_free(system->control);
    system->control = NULL;
    system_nodes_done(&system->nodes);
    system->nodes = (struct system_nodes){0};
    kubernetes_driver_free(system->driver);
    system->driver = NULL;
    core_free(system->core);
    system->core = NULL;
    fence_store_done(&system->fence);
    free(system->upkeep_problem);
    system->upkeep_problem = NULL;
    system->leadership = 0;
    system->lost_ms = 0;
    system->numbers = (struct system_numbers){0};
}

void system_take_spec(struct system *system, const struct cached_system *cached)
{
    char hash[POD_TEMPLATE_HASH_BYTES];
    if (!cached->object->spec || cached->object->generation == system->spec_generation)
        return;
    system->spec_generation = cached->object->generation;
    core_spec_changed(system->core, cached->object->spec);
    core_template_changed(system->core, pod_template_hash(cached->object->spec, hash));
    kubernetes_retry(system->driver);
    system_status_changed(system);
}

static int renew_certificates(struct system *system, struct err *err)
{
    struct rpc_creds *creds = NULL;
    if (load_creds(system, &creds, err) < 0)
        return -1;
    control_set_creds(system->control, creds);
    rpc_creds_unref(creds);
    return 0;
}

/* Nothing that runs hangs on it: it is told once, and tried again later and later. */
static void tell_upkeep(struct system *system, const struct err *err)
{
    const char *text = err ? err->text : NULL;
    if (text_equal(text, system->upkeep_problem))
        return;
    free(system->upkeep_problem);
    system->upkeep_problem = text ? xstrdup(text) : NULL;
    if (text)
        system_event(system, true, "UpkeepFailed", text);
}

void system_upkeep(struct system *system, int64_t now_ms)
{
    struct err err = {0};
    int failed = 0;
    bool is_due = now_ms >= system->certificates_ms || now_ms >= system->owned_ms;
    if (now_ms >= system->certificates_ms) {
        failed = renew_certificates(system, &err);
        if (failed)
            system->certificates_ms = now_ms + backoff_next(&system->upkeep_backoff, now_ms, NULL);
    }
    if (now_ms >= system->owned_ms) {
        int ensured = owned_ensure(system->context->client, &system->owner, failed ? NULL : &err);
        system->owned_ms = now_ms + (ensured < 0 ? backoff_next(&system->upkeep_backoff, now_ms, NULL)
                                                 : (int64_t)OWNED_INTERVAL_MS);
        failed = failed || ensured < 0;
    }
    if (is_due)
        tell_upkeep(system, failed ? &err : NULL);
    if (is_due && !failed)
        backoff_reset(&system->upkeep_backoff);
}
