#include "api/fence_object.h"

#include "api/object_owner.h"
#include "api/resources.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "kube/meta.h"
#include "types/fence_record.h"

/* A schema has no null: what is not known is left out, and read back as not known. */
static void remove_nulls(struct json *node)
{
    bool is_object = json_type(node) == JSON_OBJECT;
    for (size_t i = json_count(node); i-- > 0;) {
        struct json *item = json_at(node, i);
        if (is_object && json_is_null(item))
            (void)json_remove(node, json_key_at(node, i));
        else
            remove_nulls(item);
    }
}

struct json *fence_object_new(
    const struct object_owner *owner, const struct fence_record *record, const char *resource_version)
{
    struct json *object = owned_object_new(owner, &API_ACTOR_FENCES, owner->name, "histrio-fence");
    if (resource_version)
        (void)json_set_string(json_get(object, "metadata"), "resourceVersion", resource_version);
    remove_nulls(json_set_take(object, "record", fence_record_to_json(record)));
    return object;
}

int fence_object_decode(
    const struct json *object, struct fence_record *ret_record, char **ret_resource_version, struct err *err)
{
    /* A root of its own, so that the path of a mistake begins at the record. */
    _cleanup_(json_freep) struct json *record = NULL;
    const char *version = kube_meta_resource_version(object);
    if (!version || !version[0])
        return err_set(err, ERR_INVALID, "an ActorFence without metadata.resourceVersion");
    if (json_is_null(json_get(object, "record")))
        return err_set(err, ERR_INVALID, "an ActorFence without record");
    record = json_dup(json_get(object, "record"));
    if (fence_record_from_json(record, ret_record, err) < 0)
        return err_wrap(err, "the record of an ActorFence");
    *ret_resource_version = xstrdup(version);
    return 0;
}
