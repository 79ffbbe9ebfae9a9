#include "api/pod.h"

#include <stddef.h>

#include "api/cut.h"
#include "api/names.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "base/str.h"
#include "kube/meta.h"

/* Texts come from kubelets and from images, at any length. A crash record is the longest that somebody reads.
 */
enum { TEXT_BYTES_MAX = 512, CRASH_BYTES_MAX = 4096, INDEX_MAX = 1000 * 1000, MS_PER_SECOND = 1000 };

/* All texts of a pod, for the copy into one block. */
static const size_t texts[] = {
    offsetof(struct pod, owner_uid),
    offsetof(struct pod, system),
    offsetof(struct pod, ip),
    offsetof(struct pod, kube_node),
    offsetof(struct pod, container_reason),
    offsetof(struct pod, container_message),
    offsetof(struct pod, scheduled_reason),
    offsetof(struct pod, scheduled_message),
    offsetof(struct pod, reason),
    offsetof(struct pod, message),
    offsetof(struct pod, template_hash),
};
enum { TEXT_COUNT = sizeof(texts) / sizeof(texts[0]) };

static const char **text_at(struct pod *pod, size_t index)
{
    return (const char **)(void *)((char *)pod + texts[index]);
}

/* borrowed has all but the head, with texts of somebody else. */
static struct pod *pod_pack(struct pod *borrowed)
{
    size_t sizes[TEXT_COUNT];
    size_t total = 0;
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        bool is_crash = texts[i] == offsetof(struct pod, container_message);
        sizes[i] = cut_size(*text_at(borrowed, i), is_crash ? CRASH_BYTES_MAX : TEXT_BYTES_MAX);
        total += sizes[i] + 1;
    }
    struct pod *pod = xmalloc(sizeof(*pod) + total);
    char *end = (char *)(pod + 1);
    *pod = *borrowed;
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        memcpy(end, *text_at(borrowed, i), sizes[i]);
        end[sizes[i]] = '\0';
        *text_at(pod, i) = end;
        end += sizes[i] + 1;
    }
    return pod;
}

static const char *string_of(const struct json *object, const char *key)
{
    return json_string(json_get(object, key));
}

static const char *annotation(const struct json *json, const char *key)
{
    const char *text = kube_meta_annotation(json, key);
    return text ? text : "";
}

static enum pod_phase phase_of(const char *text)
{
    static const char *const names[] = {"Unknown", "Pending", "Running", "Succeeded", "Failed"};
    for (size_t i = 1; i < sizeof(names) / sizeof(names[0]); i++)
        if (text_equal(text, names[i]))
            return (enum pod_phase)i;
    return POD_UNKNOWN;
}

static int32_t small_number(const struct json *node, int32_t otherwise)
{
    int64_t number;
    return json_read_int(node, INT32_MIN, INT32_MAX, &number, NULL) < 0 ? otherwise : (int32_t)number;
}

static void read_container(const struct json *status, struct pod *pod)
{
    const struct json *state = NULL;
    json_for_each(row, json_get(status, "containerStatuses"))
    {
        if (text_equal(string_of(row, "name"), API_NODE_CONTAINER))
            state = json_get(row, "state");
    }
    const struct json *detail = json_get(state, "terminated");
    if (!json_is_null(detail)) {
        pod->container = POD_CONTAINER_TERMINATED;
        pod->exit_code = small_number(json_get(detail, "exitCode"), 0);
        pod->signal = small_number(json_get(detail, "signal"), 0);
    } else if (!json_is_null(detail = json_get(state, "waiting"))) {
        pod->container = POD_CONTAINER_WAITING;
    } else if (!json_is_null(json_get(state, "running"))) {
        pod->container = POD_CONTAINER_RUNNING;
    }
    pod->container_reason = string_of(detail, "reason");
    pod->container_message = string_of(detail, "message");
}

static void read_conditions(const struct json *status, struct pod *pod)
{
    json_for_each(row, json_get(status, "conditions"))
    {
        const char *type = string_of(row, "type");
        bool is_true = text_equal(string_of(row, "status"), "True");
        if (text_equal(type, "Ready")) {
            pod->is_ready = is_true;
        } else if (text_equal(type, "DisruptionTarget")) {
            pod->is_disrupted = is_true;
        } else if (text_equal(type, "PodScheduled") && !is_true) {
            pod->scheduled_reason = string_of(row, "reason");
            pod->scheduled_message = string_of(row, "message");
        }
    }
}

static void read_metadata(const struct json *json, struct pod *pod)
{
    int64_t seconds = 0;
    uint32_t nanoseconds = 0;
    uint64_t index;
    const char *system = kube_meta_label(json, API_LABEL_SYSTEM);
    const char *created = kube_meta_creation_timestamp(json);
    pod->owner_uid = kube_meta_controller_uid(json);
    pod->system = system ? system : "";
    pod->template_hash = annotation(json, API_ANNOTATION_TEMPLATE_HASH);
    pod->is_draining = text_equal(annotation(json, API_ANNOTATION_DRAIN), "true");
    pod->is_cordoned = pod->is_draining || text_equal(annotation(json, API_ANNOTATION_CORDON), "true");
    pod->is_deleting = kube_meta_is_deleted(json);
    if (text_to_u64(annotation(json, API_ANNOTATION_INDEX), INDEX_MAX, &index, NULL) == 0)
        pod->index = (int32_t)index;
    if (created && rfc3339_parse(created, &seconds, &nanoseconds) == 0)
        pod->created_wall_ms = seconds * MS_PER_SECOND;
}

struct kube_object *pod_decode(const struct json *json, void *ctx, struct err *err)
{
    struct pod pod = {.index = -1};
    const struct json *status = json_get(json, "status");
    (void)ctx;
    if (json_expect(json, JSON_OBJECT, err) < 0)
        return NULL;
    for (size_t i = 0; i < TEXT_COUNT; i++)
        *text_at(&pod, i) = "";
    read_metadata(json, &pod);
    pod.kube_node = string_of(json_get(json, "spec"), "nodeName");
    pod.phase = phase_of(string_of(status, "phase"));
    pod.ip = string_of(status, "podIP");
    pod.reason = string_of(status, "reason");
    pod.message = string_of(status, "message");
    read_container(status, &pod);
    read_conditions(status, &pod);
    return &pod_pack(&pod)->head;
}

void pod_release(struct kube_object *object)
{
    free(object); /* head is the first member, and all texts are behind the struct */
}

/* Kubelets say these while all is well. */
static bool is_usual_wait(const char *reason)
{
    return !reason[0] || text_equal(reason, "ContainerCreating") || text_equal(reason, "PodInitializing");
}

static bool tell(const char *reason, const char *message, const char **ret_reason, const char **ret_message)
{
    *ret_reason = reason;
    *ret_message = message;
    return true;
}

bool pod_trouble(const struct pod *pod, const char **ret_reason, const char **ret_message)
{
    bool has_failed =
        pod->container == POD_CONTAINER_TERMINATED &&
        (pod->exit_code != 0 || pod->signal != 0 || text_equal(pod->container_reason, "OOMKilled"));
    if (has_failed && !pod->reason[0])
        return tell(pod->container_reason[0] ? pod->container_reason : "Error", pod->container_message,
            ret_reason, ret_message);
    if (pod->reason[0]) /* Evicted and the like: says more than the container's exit code */
        return tell(pod->reason, pod->message, ret_reason, ret_message);
    if (pod->container == POD_CONTAINER_WAITING && !is_usual_wait(pod->container_reason))
        return tell(pod->container_reason, pod->container_message, ret_reason, ret_message);
    if (pod->scheduled_reason[0] && pod->phase == POD_PENDING)
        return tell(pod->scheduled_reason, pod->scheduled_message, ret_reason, ret_message);
    return false;
}
