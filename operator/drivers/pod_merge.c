#include "drivers/pod_merge.h"

#include "base/json.h"
#include "base/str.h"

/* What names an item of a list in a Pod, as strategic merge patches of Kubernetes have it. */
static const struct {
    const char *list;
    const char *key;
} named_lists[] = {
    {"containers", "name"},
    {"initContainers", "name"},
    {"volumes", "name"},
    {"env", "name"},
    {"imagePullSecrets", "name"},
    {"volumeMounts", "mountPath"},
    {"ports", "name"},
    {"hostAliases", "ip"},
    {"topologySpreadConstraints", "topologyKey"},
};

static const char *item_key(const char *list)
{
    for (size_t i = 0; i < sizeof(named_lists) / sizeof(named_lists[0]); i++)
        if (text_equal(named_lists[i].list, list))
            return named_lists[i].key;
    return NULL;
}

static struct json *find_item(struct json *list, const char *key, const char *name)
{
    json_for_each(item, list) if (text_equal(json_string(json_get(item, key)), name)) return item;
    return NULL;
}

static void merge_list(struct json *base, const struct json *over, const char *key)
{
    json_for_each(item, over)
    {
        const char *name = json_string(json_get(item, key));
        struct json *known = name[0] ? find_item(base, key, name) : NULL;
        if (known)
            pod_merge(known, item);
        else
            (void)json_add_take(base, json_dup(item)); /* the list owns it */
    }
}

static void merge_member(struct json *base, const char *member, const struct json *over)
{
    struct json *known = json_get(base, member);
    const char *key = item_key(member);
    if (json_is_null(over))
        (void)json_remove(base, member); /* it may not be there */
    else if (json_type(known) == JSON_OBJECT && json_type(over) == JSON_OBJECT)
        pod_merge(known, over);
    else if (key && json_type(known) == JSON_ARRAY && json_type(over) == JSON_ARRAY)
        merge_list(known, over, key);
    else
        (void)json_set_take(base, member, json_dup(over)); /* the object owns it */
}

/* Recursion ends: trees are at most LIMIT_TREE_DEPTH deep. */
void pod_merge(struct json *base, const struct json *over)
{
    if (json_type(base) != JSON_OBJECT || json_type(over) != JSON_OBJECT)
        return;
    for (size_t i = 0; i < json_count(over); i++)
        merge_member(base, json_key_at(over, i), json_at(over, i));
}
