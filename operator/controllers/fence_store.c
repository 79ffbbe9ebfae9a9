#include "controllers/fence_store.h"

#include <stdlib.h>

#include "api/fence_object.h"
#include "api/resources.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "kube/client.h"
#include "kube/meta.h"
#include "kube/status.h"
#include "kube/verbs.h"

/* Longer than that a leader had better begin anew than wait. */
enum { TIMEOUT_MS = 4000 };

void fence_store_done(struct fence_store *store)
{
    free(store->resource_version);
    store->resource_version = NULL;
}

static void set_version(struct fence_store *store, char *version_take)
{
    free(store->resource_version);
    store->resource_version = version_take;
}

int fence_store_read(
    struct fence_store *store, struct fence_record *ret_record, bool *ret_found, struct err *err)
{
    _cleanup_(json_freep) struct json *object = NULL;
    _cleanup_(kube_status_done) struct kube_status status = {0};
    struct kube_target target = {&API_ACTOR_FENCES, store->owner.namespace, store->owner.name, NULL};
    struct kube_options options = {.timeout_ms = TIMEOUT_MS};
    char *version = NULL;
    *ret_found = false;
    if (kube_get(store->client, &target, &options, &object, &status, err) < 0) {
        if (status.reason != KUBE_REASON_NOT_FOUND)
            return err_wrap(err, "read the fence record");
        set_version(store, NULL);
        return 0;
    }
    if (fence_object_decode(object, ret_record, &version, err) < 0)
        return err_wrap(err, "ActorFence \"%s\"", store->owner.name);
    set_version(store, version);
    *ret_found = true;
    return 0;
}

int fence_store_write(struct fence_store *store, const struct fence_record *record, struct err *err)
{
    _cleanup_(json_freep) struct json *object =
        fence_object_new(&store->owner, record, store->resource_version);
    _cleanup_(cleanup_free) char *body = json_to_text(object, JSON_COMPACT);
    _cleanup_(json_freep) struct json *written = NULL;
    _cleanup_(kube_status_done) struct kube_status status = {0};
    struct kube_target target = {&API_ACTOR_FENCES, store->owner.namespace, store->owner.name, NULL};
    struct kube_options options = {.timeout_ms = TIMEOUT_MS};
    int failed;
    if (store->resource_version) {
        failed = kube_replace(store->client, &target, body, &options, &written, &status, err);
    } else {
        target.name = NULL;
        failed = kube_create(store->client, &target, body, &options, &written, &status, err);
    }
    if (failed && (status.reason == KUBE_REASON_CONFLICT || status.reason == KUBE_REASON_ALREADY_EXISTS ||
                      status.reason == KUBE_REASON_NOT_FOUND))
        return err_set(
            err, ERR_CONFLICT, "the fence record was written by somebody else: %s", status.message);
    if (failed)
        return -1;
    set_version(store, xstrdup(kube_meta_resource_version(written)));
    return 0;
}
