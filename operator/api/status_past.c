#include "api/status_past.h"

#include <stdlib.h>

#include "api/status_json.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/str.h"

static void keep(struct json *past, const struct json *status, const char *key)
{
    const struct json *value = json_get(status, key);
    if (value)
        (void)json_set_take(past, key, json_dup(value)); /* past owns it */
}

struct json *status_past_of(const struct json *status)
{
    if (json_type(status) != JSON_OBJECT)
        return NULL;
    struct json *past = json_object_new();
    keep(past, status, "startedAt");
    keep(past, status, "restarts");
    keep(past, status, "exitsLost");
    keep(past, status, "recentExits");
    struct json *nodes = json_set_object(past, "nodes");
    json_for_each(row, json_get(status, "nodeStatuses"))
    {
        const char *name = json_string(json_get(row, "node"));
        if (json_get(nodes, name))
            continue;
        struct json *node = json_set_object(nodes, name);
        keep(node, row, "uid");
        keep(node, row, "startedAt");
        keep(node, row, "runtimeRestarts");
    }
    return past;
}

static void add_number(const struct json *past, struct json *status, const char *key)
{
    uint64_t before = json_uint(json_get(past, key));
    if (before)
        (void)json_set_uint(status, key, before + json_uint(json_get(status, key)));
}

static void take_time(const struct json *past, struct json *status)
{
    const struct json *time = json_get(past, "startedAt");
    if (json_type(time) == JSON_STRING)
        (void)json_set_string(status, "startedAt", json_string(time));
}

static void add_exits(const struct json *past, struct json *status)
{
    const struct json *before = json_get(past, "recentExits");
    const struct json *present = json_get(status, "recentExits");
    size_t total = json_count(before) + json_count(present);
    size_t left_out = total > STATUS_RECENT_EXITS_MAX ? total - STATUS_RECENT_EXITS_MAX : 0;
    struct json *list = json_array_new();
    for (size_t i = left_out; i < total; i++)
        (void)json_add_take(list,
            json_dup(i < json_count(before) ? json_at(before, i) : json_at(present, i - json_count(before))));
    (void)json_set_take(status, "recentExits", list); /* status owns it */
}

void status_past_add(const struct json *past, struct json *status)
{
    if (!past)
        return;
    take_time(past, status);
    add_number(past, status, "restarts");
    add_number(past, status, "exitsLost");
    add_exits(past, status);
    json_for_each(row, json_get(status, "nodeStatuses"))
    {
        const struct json *node = json_get(json_get(past, "nodes"), json_string(json_get(row, "node")));
        add_number(node, row, "runtimeRestarts");
        const char *uid = json_string(json_get(row, "uid"));
        if (node && *uid && text_equal(uid, json_string(json_get(node, "uid"))))
            take_time(node, row);
    }
}

/* ---- the hash ---- */

static uint64_t hash_tree(const struct json *node, const char *const *left_out);

static uint64_t hash_members(const struct json *object, const char *const *left_out)
{
    uint64_t hash = 1;
    for (size_t i = 0; i < json_count(object); i++) {
        const char *key = json_key_at(object, i);
        bool counts = true;
        for (const char *const *name = left_out; *name; name++)
            counts = counts && !text_equal(*name, key);
        if (counts)
            hash += hash_u64(hash_string(key) ^ hash_u64(hash_tree(json_at(object, i), left_out)));
    }
    return hash;
}

static uint64_t hash_tree(const struct json *node, const char *const *left_out)
{
    uint64_t hash = 2;
    if (json_type(node) == JSON_OBJECT)
        return hash_members(node, left_out);
    if (json_type(node) == JSON_STRING)
        return hash_string(json_string(node));
    if (json_type(node) != JSON_ARRAY) {
        _cleanup_(cleanup_free) char *text = json_to_text(node, JSON_COMPACT);
        return hash_u64(hash_string(text));
    }
    json_for_each(item, node) hash = hash_u64(hash ^ hash_tree(item, left_out));
    return hash;
}

uint64_t status_hash(const struct json *status)
{
    /* None of these names means anything else at another place of a status. */
    static const char *const left_out[] = {
        "mailboxDepth", "messages", "deadLetters", "busyPermille", "memoryBytes", "term", NULL};
    return hash_tree(status, left_out) | 1;
}
