#include "controllers/status_writer.h"

#include <stdlib.h>

#include "api/names.h"
#include "api/placement_objects.h"
#include "api/resources.h"
#include "api/status_json.h"
#include "api/status_past.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/client.h"
#include "kube/list.h"
#include "kube/meta.h"
#include "kube/status.h"
#include "kube/verbs.h"

#define STATUS_MANAGER "histrio-operator-status"

void status_writer_init(
    struct status_writer *writer, struct kube_client *client, const struct object_owner *owner, bool has_past)
{
    *writer = (struct status_writer){.client = client, .owner = *owner, .has_past = has_past};
}

void status_writer_done(struct status_writer *writer)
{
    json_free(writer->conditions);
    writer->conditions = NULL;
    json_free(writer->past);
    writer->past = NULL;
    placement_objects_free(writer->placements);
    writer->placements = NULL;
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

/* What an earlier leader wrote. */
static int read_past(struct status_writer *writer, struct err *err)
{
    _cleanup_(json_freep) struct json *object = NULL;
    struct kube_target target = {&API_ACTOR_SYSTEMS, writer->owner.namespace, writer->owner.name, NULL};
    if (kube_get(writer->client, &target, NULL, &object, NULL, err) < 0)
        return -1;
    const struct json *status = json_get(object, "status");
    if (!text_equal(kube_meta_uid(object), writer->owner.uid) || json_type(status) != JSON_OBJECT)
        return 0;
    writer->past = status_past_of(status);
    writer->conditions = json_dup(json_get(status, "conditions"));
    writer->written = status_hash(status);
    return 0;
}

static int write_status(struct status_writer *writer, const struct status *status, struct err *err)
{
    _cleanup_(json_freep) struct json *content = status_to_json(status, STATUS_FOR_API);
    keep_times(json_get(content, "conditions"), writer->conditions);
    status_past_add(writer->past, content);
    uint64_t hash = status_hash(content);
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

static int list_placements(
    struct status_writer *writer, uint64_t version, struct placement_objects *placements, struct err *err)
{
    static const struct kube_list_events events = {load_one, load_restart};
    _cleanup_(cleanup_free) char *selector = xasprintf(API_LABEL_SYSTEM "=%s", writer->owner.name);
    struct kube_list_request request = {
        .resource = &API_ACTOR_PLACEMENTS, .namespace = writer->owner.namespace, .label_selector = selector};
    return kube_list_since(writer->client, &request, version, &events, placements, NULL, err);
}

static int load_past(struct status_writer *writer, uint64_t version, struct err *err)
{
    struct placement_objects *placements = placement_objects_new(&writer->owner);
    if (writer->has_past &&
        (list_placements(writer, version, placements, err) < 0 || read_past(writer, err) < 0)) {
        placement_objects_free(placements);
        return err_wrap(err, "what an earlier leader wrote");
    }
    writer->placements = placements;
    writer->has_past = false;
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
    placement_objects_update(writer->placements, status);
    for (size_t number = 0; number < placement_objects_count(writer->placements); number++)
        if (placement_objects_is_changed(writer->placements, number) &&
            write_placement(writer, number, status, err) < 0)
            return -1;
    return 0;
}

int status_writer_work(
    struct status_writer *writer, const struct status *status, uint64_t version, struct err *err)
{
    if (!writer->placements && load_past(writer, version, err) < 0)
        return -1;
    if (write_status(writer, status, err) < 0)
        return -1;
    return write_placements(writer, status, err);
}
