#include "controllers/status_writer.h"

#include <stdlib.h>

#include "api/names.h"
#include "api/placement_objects.h"
#include "api/resources.h"
#include "api/status_json.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/client.h"
#include "kube/list.h"
#include "kube/meta.h"
#include "kube/status.h"
#include "kube/verbs.h"

enum { INTERVAL_MS = 1000 };

#define STATUS_MANAGER "histrio-operator-status"

void status_writer_init(struct status_writer *writer, struct kube_client *client,
    const struct object_owner *owner, const struct json *conditions)
{
    *writer = (struct status_writer){
        .client = client, .owner = *owner, .conditions = conditions ? json_dup(conditions) : NULL};
}

void status_writer_done(struct status_writer *writer)
{
    json_free(writer->conditions);
    writer->conditions = NULL;
    placement_objects_free(writer->placements);
    writer->placements = NULL;
}

void status_writer_changed(struct status_writer *writer)
{
    writer->is_changed = true;
}

static const struct json *condition(const struct json *conditions, const char *type)
{
    json_for_each(item, conditions) if (text_equal(json_string(json_get(item, "type")), type)) return item;
    return NULL;
}

/* A condition that still has its value has had it since it came about, whoever leads. */
static void keep_times(struct json *conditions, const struct json *present)
{
    json_for_each(row, conditions)
    {
        const struct json *former = condition(present, json_string(json_get(row, "type")));
        const struct json *time = json_get(former, "lastTransitionTime");
        if (former && json_type(time) == JSON_STRING &&
            text_equal(json_string(json_get(former, "status")), json_string(json_get(row, "status"))))
            (void)json_set_string(row, "lastTransitionTime", json_string(time));
    }
}

/* Of everything but what moves with every message. */
static uint64_t stable_hash(const struct json *status)
{
    static const char *const moving[] = {
        "mailboxDepth", "messages", "deadLetters", "busyPermille", "memoryBytes"};
    _cleanup_(json_freep) struct json *stable = json_dup(status);
    json_for_each(row, json_get(stable, "nodeStatuses")) for (size_t i = 0;
                                                              i < sizeof(moving) / sizeof(moving[0]); i++)(
        void) json_remove(row, moving[i]); /* not all forms have it */
    _cleanup_(cleanup_free) char *text = json_to_text(stable, JSON_COMPACT);
    return hash_string(text) | 1;
}

static int write_status(struct status_writer *writer, const struct status *status, struct err *err)
{
    _cleanup_(json_freep) struct json *content = status_to_json(status, STATUS_FOR_API);
    keep_times(json_get(content, "conditions"), writer->conditions);
    uint64_t hash = stable_hash(content);
    if (hash == writer->written)
        return 0;
    _cleanup_(json_freep) struct json *object = json_object_new();
    struct json *metadata =
        kube_meta_begin(object, &API_ACTOR_SYSTEMS, writer->owner.namespace, writer->owner.name);
    (void)json_set_string(metadata, "uid", writer->owner.uid); /* of no other system of that name */
    struct json *conditions = json_dup(json_get(content, "conditions"));
    (void)json_set_take(object, "status", steal_ptr(&content)); /* the object owns it */
    _cleanup_(cleanup_free) char *body = json_to_text(object, JSON_COMPACT);
    struct kube_target target = {&API_ACTOR_SYSTEMS, writer->owner.namespace, writer->owner.name, "status"};
    struct kube_options options = {.field_manager = STATUS_MANAGER, .is_forced = true};
    if (kube_apply(writer->client, &target, body, &options, NULL, NULL, err) < 0) {
        json_free(conditions);
        return err_wrap(err, "write status");
    }
    json_free(writer->conditions);
    writer->conditions = conditions;
    writer->written = hash;
    return 0;
}

/* ---- placements ---- */

static int load_one(const struct json *object, void *ctx, struct err *err)
{
    (void)err; /* what makes no sense is passed over */
    placement_objects_load(ctx, object);
    return 0;
}

static void load_restart(void *ctx)
{
    (void)ctx; /* loading the same object again changes nothing */
}

static int load_placements(struct status_writer *writer, struct err *err)
{
    static const struct kube_list_events events = {load_one, load_restart};
    _cleanup_(cleanup_free) char *selector = xasprintf(API_LABEL_SYSTEM "=%s", writer->owner.name);
    struct kube_list_request request = {
        .resource = &API_ACTOR_PLACEMENTS, .namespace = writer->owner.namespace, .label_selector = selector};
    struct placement_objects *placements = placement_objects_new(&writer->owner);
    if (kube_list(writer->client, &request, &events, placements, NULL, NULL, err) < 0) {
        placement_objects_free(placements);
        return err_wrap(err, "list placements");
    }
    writer->placements = placements;
    return 0;
}

static int delete_placement(struct status_writer *writer, const char *name, struct err *err)
{
    _cleanup_(kube_status_done) struct kube_status refusal = {0};
    struct kube_target target = {&API_ACTOR_PLACEMENTS, writer->owner.namespace, name, NULL};
    struct kube_delete_options options = {0};
    if (kube_delete(writer->client, &target, &options, &refusal, err) < 0 &&
        refusal.reason != KUBE_REASON_NOT_FOUND)
        return err_wrap(err, "delete placement %s", name);
    return 0;
}

static int write_placement(
    struct status_writer *writer, size_t number, const struct status *status, struct err *err)
{
    _cleanup_(json_freep) struct json *object = placement_objects_body(writer->placements, number, status);
    _cleanup_(cleanup_free) char *name = placement_objects_name(writer->placements, number);
    _cleanup_(cleanup_free) char *body = object ? json_to_text(object, JSON_COMPACT) : NULL;
    struct kube_target target = {&API_ACTOR_PLACEMENTS, writer->owner.namespace, name, NULL};
    struct kube_options options = {.field_manager = API_MANAGER, .is_forced = true};
    if (!object && delete_placement(writer, name, err) < 0)
        return -1;
    if (object && kube_apply(writer->client, &target, body, &options, NULL, NULL, err) < 0)
        return err_wrap(err, "write placement %s", name);
    placement_objects_written(writer->placements, number);
    return 0;
}

static int write_placements(struct status_writer *writer, const struct status *status, struct err *err)
{
    if (!writer->placements && load_placements(writer, err) < 0)
        return -1;
    placement_objects_update(writer->placements, status);
    for (size_t number = 0; number < placement_objects_count(writer->placements); number++)
        if (placement_objects_is_changed(writer->placements, number) &&
            write_placement(writer, number, status, err) < 0)
            return -1;
    return 0;
}

int status_writer_work(
    struct status_writer *writer, const struct status *status, int64_t now_ms, struct err *err)
{
    writer->due_ms = now_ms + INTERVAL_MS;
    writer->is_changed = true;
    if (write_status(writer, status, err) < 0 || write_placements(writer, status, err) < 0)
        return -1;
    writer->is_changed = false;
    return 0;
}
