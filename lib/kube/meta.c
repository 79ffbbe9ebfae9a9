#include "kube/meta.h"

#include <stddef.h>

#include "base/json.h"
#include "base/str.h"
#include "kube/resource.h"

static const struct json *field(const struct json *object, const char *key)
{
    return json_get(json_get(object, "metadata"), key);
}

const char *kube_meta_name(const struct json *object)
{
    return json_string(field(object, "name"));
}

const char *kube_meta_namespace(const struct json *object)
{
    return json_string(field(object, "namespace"));
}

const char *kube_meta_uid(const struct json *object)
{
    return json_string(field(object, "uid"));
}

int64_t kube_meta_generation(const struct json *object)
{
    return json_int(field(object, "generation"));
}

const char *kube_meta_creation_timestamp(const struct json *object)
{
    return json_string(field(object, "creationTimestamp"));
}

static const char *text_or_null(const struct json *node)
{
    return json_type(node) == JSON_STRING ? json_string(node) : NULL;
}

const char *kube_meta_deletion_timestamp(const struct json *object)
{
    return text_or_null(field(object, "deletionTimestamp"));
}

bool kube_meta_is_deleted(const struct json *object)
{
    return kube_meta_deletion_timestamp(object) != NULL;
}

const char *kube_meta_label(const struct json *object, const char *key)
{
    return text_or_null(json_get(field(object, "labels"), key));
}

const char *kube_meta_annotation(const struct json *object, const char *key)
{
    return text_or_null(json_get(field(object, "annotations"), key));
}

const char *kube_meta_resource_version(const struct json *object)
{
    return json_string(field(object, "resourceVersion"));
}

uint64_t kube_meta_resource_version_number(const struct json *object)
{
    uint64_t number = 0;
    (void)text_to_u64(kube_meta_resource_version(object), UINT64_MAX, &number, NULL); /* no number: 0 */
    return number;
}

const struct json *kube_meta_controller(const struct json *object)
{
    json_for_each(reference, field(object, "ownerReferences"))
    {
        if (json_bool(json_get(reference, "controller")))
            return reference;
    }
    return NULL;
}

const char *kube_meta_controller_uid(const struct json *object)
{
    return json_string(json_get(kube_meta_controller(object), "uid"));
}

const char *kube_meta_continue(const struct json *list)
{
    return json_string(field(list, "continue"));
}

struct json *kube_meta_begin(
    struct json *object, const struct kube_resource *resource, const char *namespace, const char *name)
{
    if (*resource->group)
        json_set_stringf(object, "apiVersion", "%s/%s", resource->group, resource->version);
    else
        json_set_string(object, "apiVersion", resource->version);
    json_set_string(object, "kind", resource->kind);
    struct json *metadata = json_set_object(object, "metadata");
    json_set_string(metadata, "name", name);
    if (namespace)
        json_set_string(metadata, "namespace", namespace);
    return metadata;
}

void kube_meta_add_controller(
    struct json *metadata, const struct kube_resource *owner, const char *owner_name, const char *owner_uid)
{
    struct json *references = json_get(metadata, "ownerReferences");
    if (!references)
        references = json_set_array(metadata, "ownerReferences");
    struct json *reference = json_add_object(references);
    if (*owner->group)
        json_set_stringf(reference, "apiVersion", "%s/%s", owner->group, owner->version);
    else
        json_set_string(reference, "apiVersion", owner->version);
    json_set_string(reference, "kind", owner->kind);
    json_set_string(reference, "name", owner_name);
    json_set_string(reference, "uid", owner_uid);
    json_set_bool(reference, "controller", true);
    json_set_bool(reference, "blockOwnerDeletion", true);
}
