#include "kube/object.h"

#include <assert.h>
#include <stdio.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "kube/meta.h"

int kube_object_read(const struct json *json, kube_decode decode, kube_release release, void *ctx,
    struct kube_object **ret_object, struct err *err)
{
    const char *name = kube_meta_name(json);
    const char *uid = kube_meta_uid(json);
    uint64_t version = kube_meta_resource_version_number(json);
    if (!*name || !*uid)
        return err_set(err, ERR_INVALID, "an object without metadata.%s", *name ? "uid" : "name");
    if (version == 0)
        return err_set(err, ERR_INVALID, "metadata.resourceVersion \"%s\" of \"%s\" is not a number above 0",
            kube_meta_resource_version(json), name);
    struct kube_object *object = decode(json, ctx, err);
    if (!object)
        return err_wrap(err, "\"%s\"", name);
    *object = (struct kube_object){.namespace = xstrdup(kube_meta_namespace(json)),
        .name = xstrdup(name),
        .uid = xstrdup(uid),
        .resource_version = version,
        .release = release,
        .references = 1};
    *ret_object = object;
    return 0;
}

struct kube_object *kube_object_ref(struct kube_object *object)
{
    /* Relaxed: whoever refs holds a reference already. */
    int64_t before = __atomic_fetch_add(&object->references, 1, __ATOMIC_RELAXED);
    assert(before > 0);
    return object;
}

void kube_object_unref(struct kube_object *object)
{
    /* Release pairs with acquire of the last one, so that it frees what everybody is done with. */
    if (!object || __atomic_sub_fetch(&object->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    free(object->namespace);
    free(object->name);
    free(object->uid);
    object->release(object);
}

char *kube_key_format(const char *namespace, const char *name, char *buffer)
{
    if (namespace && *namespace)
        (void)snprintf(buffer, KUBE_KEY_BYTES, "%s/%s", namespace, name); /* cut, as the header says */
    else
        (void)snprintf(buffer, KUBE_KEY_BYTES, "%s", name);
    return buffer;
}

char *kube_object_key(const struct kube_object *object, char *buffer)
{
    return kube_key_format(object->namespace, object->name, buffer);
}

const char *kube_key_name(const char *key)
{
    const char *slash = strchr(key, '/');
    return slash ? slash + 1 : key;
}
