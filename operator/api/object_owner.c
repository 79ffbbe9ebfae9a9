#include "api/object_owner.h"

#include "api/names.h"
#include "api/resources.h"
#include "base/json.h"
#include "kube/meta.h"

struct json *owned_object_new(
    const struct object_owner *owner, const struct kube_resource *resource, const char *name, const char *app)
{
    struct json *object = json_object_new();
    struct json *metadata = kube_meta_begin(object, resource, owner->namespace, name);
    struct json *labels = json_set_object(metadata, "labels");
    (void)json_set_string(labels, API_LABEL_NAME, app);
    (void)json_set_string(labels, API_LABEL_INSTANCE, owner->name);
    (void)json_set_string(labels, API_LABEL_MANAGED_BY, API_MANAGER);
    (void)json_set_string(labels, API_LABEL_SYSTEM, owner->name);
    kube_meta_add_controller(metadata, &API_ACTOR_SYSTEMS, owner->name, owner->uid);
    return object;
}
