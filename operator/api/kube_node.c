#include "api/kube_node.h"

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/meta.h"

/* More than any cloud sets; the rest of a machine's labels is left out. */
enum { LABELS_MAX = 256 };

static bool is_named(const struct json *row, const char *key, const char *name)
{
    return text_equal(json_string(json_get(row, key)), name);
}

static bool is_ready(const struct json *json)
{
    json_for_each(row, json_get(json_get(json, "status"), "conditions"))
    {
        if (is_named(row, "type", "Ready"))
            return is_named(row, "status", "True");
    }
    return false;
}

static bool has_taint(const struct json *json, const char *key)
{
    json_for_each(row, json_get(json_get(json, "spec"), "taints"))
    {
        if (is_named(row, "key", key))
            return true;
    }
    return false;
}

struct kube_object *kube_node_decode(const struct json *json, void *ctx, struct err *err)
{
    (void)ctx;
    if (json_expect(json, JSON_OBJECT, err) < 0)
        return NULL;
    struct kube_node *node = xcalloc(1, sizeof(*node));
    const char *zone = kube_meta_label(json, "topology.kubernetes.io/zone");
    node->zone = xstrdup(zone ? zone : "");
    json_for_each(label, json_get(json_get(json, "metadata"), "labels"))
    {
        if (json_type(label) == JSON_STRING && node->labels.count < LABELS_MAX)
            label_list_add(&node->labels, json_key(label), json_string(label));
    }
    node->is_ready = is_ready(json);
    node->is_unschedulable = json_bool(json_get(json_get(json, "spec"), "unschedulable"));
    node->is_out_of_service = has_taint(json, "node.kubernetes.io/out-of-service");
    node->is_deleting = kube_meta_is_deleted(json);
    return &node->head;
}

void kube_node_release(struct kube_object *object)
{
    struct kube_node *node = (struct kube_node *)object; /* head is the first member */
    if (!node)
        return;
    free(node->zone);
    label_list_done(&node->labels);
    free(node);
}
