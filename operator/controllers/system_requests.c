#include "api/names.h"
#include "api/resources.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/str.h"
#include "controllers/system_private.h"
#include "core/core.h"
#include "kube/client.h"
#include "kube/meta.h"
#include "kube/verbs.h"

#include <inttypes.h>
#include <stdlib.h>

/* True: nothing is left to do about it. */
static bool perform(struct system *system, const struct system_request *request)
{
    struct core *core = system->core;
    struct err err = {0};
    int failed = 0;
    bool is_done = true;
    switch (request->verb) {
    case SYSTEM_RESUME: failed = core_resume(core, request->subject, &err); break;
    case SYSTEM_FORGET: failed = core_forget(core, request->subject, &err); break;
    case SYSTEM_MOVE:
        failed = core_move(core, request->subject, request->target, &err);
        is_done = failed || !core_is_moving(core, request->subject);
        break;
    }
    if (failed)
        system_event(system, true, "RequestRefused", err.text);
    return is_done;
}

/* So that a request whose annotation could not be removed yet is not done twice. */
static uint64_t requests_hash(const struct actor_system_object *object)
{
    struct str text = STR_INIT(LIMIT_FILE_BYTES);
    vec_for_each (request, &object->requests)
        str_appendf(&text, "%d %s %s,", (int)request->verb, request->subject, request->target);
    str_append(&text, object->request_problems);
    uint64_t hash = hash_string(str_text(&text)) | 1;
    str_done(&text);
    return hash;
}

void system_requests(struct system *system, const struct cached_system *cached, bool *ret_is_done)
{
    const struct actor_system_object *object = cached->object;
    *ret_is_done = false;
    if (!object->has_requests)
        system->requests_done = 0;
    if (!object->has_requests || cached->head.resource_version < system->requests_version)
        return;
    uint64_t hash = requests_hash(object);
    bool is_done = true;
    if (hash != system->requests_done) {
        vec_for_each (request, &object->requests)
            is_done &= perform(system, request);
        if (is_done && object->request_problems[0])
            system_event(system, true, "RequestInvalid", object->request_problems);
    }
    if (is_done)
        system->requests_done = hash;
    *ret_is_done = is_done;
}

int system_requests_remove(struct system *system, const struct cached_system *cached, struct err *err)
{
    static const char *const names[] = {API_ANNOTATION_RESUME, API_ANNOTATION_MOVE, API_ANNOTATION_FORGET};
    _cleanup_(json_freep) struct json *patch = json_object_new();
    _cleanup_(json_freep) struct json *patched = NULL;
    struct json *metadata = json_set_object(patch, "metadata");
    (void)json_set_stringf(metadata, "resourceVersion", "%" PRIu64, cached->head.resource_version);
    struct json *annotations = json_set_object(metadata, "annotations");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)json_set_null(annotations, names[i]);
    _cleanup_(cleanup_free) char *body = json_to_text(patch, JSON_COMPACT);
    struct kube_target target = {&API_ACTOR_SYSTEMS, system->namespace, system->name, NULL};
    struct kube_options options = {.field_manager = API_MANAGER, .is_metadata_only = true};
    struct err failure = {0};
    if (kube_merge_patch(system->context->client, &target, body, &options, &patched, NULL, &failure) < 0) {
        if (failure.kind == ERR_CONFLICT)
            return 0; /* the cache brings the newer object, and with it the next try */
        return err_set(err, failure.kind, "remove annotations: %s", failure.text);
    }
    system->requests_version = kube_meta_resource_version_number(patched);
    return 0;
}
