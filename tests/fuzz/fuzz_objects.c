/* Whatever an API server serves as an object: it is decoded to something that can be used, or refused with a
 * text. The first byte says as what. */
#include "target.h"

#include <stdlib.h>
#include <string.h>

#include "api/actor_system_object.h"
#include "api/fence_object.h"
#include "api/kube_node.h"
#include "api/object_owner.h"
#include "api/placement_objects.h"
#include "api/pod.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "types/fence_record.h"

static void check_text(const char *text, size_t size_max)
{
    if (!text || strlen(text) > size_max)
        abort();
}

static void check_system(const struct json *json)
{
    struct err err = {0};
    struct kube_object *object = actor_system_object_decode(json, NULL, &err);
    const struct actor_system_object *system = (const struct actor_system_object *)object;
    if (system) {
        check_text(system->problems, LIMIT_STATUS_TEXT_BYTES);
        check_text(system->request_problems, LIMIT_STATUS_TEXT_BYTES);
        if ((system->spec == NULL) != (system->problems[0] != '\0'))
            abort();
    } else if (!err.text[0]) {
        abort();
    }
    actor_system_object_release(object);
}

static void check_pod(const struct json *json)
{
    struct err err = {0};
    struct kube_object *object = pod_decode(json, NULL, &err);
    const struct pod *pod = (const struct pod *)object;
    const char *reason;
    const char *message;
    if (pod) {
        check_text(pod->message, 512);
        check_text(pod->container_message, 4096);
        if (pod_trouble(pod, &reason, &message) && !reason[0])
            abort();
    } else if (!err.text[0]) {
        abort();
    }
    pod_release(object);
}

static void check_fence(const struct json *json)
{
    static const struct object_owner owner = {"ns", "bank", "uid"};
    struct fence_record record;
    struct err err = {0};
    char *version = NULL;
    if (fence_object_decode(json, &record, &version, &err) < 0) {
        if (!err.text[0])
            abort();
        return;
    }
    struct json *again = fence_object_new(&owner, &record, version);
    struct fence_record second;
    char *second_version = NULL;
    if (fence_object_decode(again, &second, &second_version, &err) < 0)
        abort();
    fence_record_done(&record);
    fence_record_done(&second);
    free(version);
    free(second_version);
    json_free(again);
}

static void check_placement(const struct json *json)
{
    static const struct object_owner owner = {"ns", "bank", "uid"};
    struct placement_objects *objects = placement_objects_new(&owner);
    placement_objects_load(objects, json);
    placement_objects_free(objects);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json *json = NULL;
    if (size == 0 || json_parse((const char *)data + 1, size - 1, &json, NULL) < 0)
        return 0;
    switch (data[0]) {
    case 's': check_system(json); break;
    case 'p': check_pod(json); break;
    case 'n': kube_node_release(kube_node_decode(json, NULL, NULL)); break;
    case 'f': check_fence(json); break;
    default: check_placement(json); break;
    }
    json_free(json);
    return 0;
}
