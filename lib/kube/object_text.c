#include "kube/object_text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "kube/split.h"

/* What the text is made of: a level of the object whose parts may fail one by one. */
enum level { LEVEL_EVENT, LEVEL_OBJECT, LEVEL_METADATA };

static int parse(const char *text, size_t size, enum level level, struct json **ret_tree, struct err *err);

/* It is JSON, but more than a tree holds. */
static bool is_too_much(const struct kube_part *part, const struct err *err)
{
    return err->kind == ERR_LIMIT || memmem(part->value, part->value_size, "\\u0000", strlen("\\u0000"));
}

static int parse_part(const struct kube_part *part, enum level level, struct json *object, struct err *err)
{
    _cleanup_(cleanup_free) char *key = xstrndup(part->key, part->key_size);
    struct json *value = NULL;
    struct err problem = {0};
    int failed;
    if (level == LEVEL_EVENT && kube_part_is(part, "object"))
        failed = parse(part->value, part->value_size, LEVEL_OBJECT, &value, &problem);
    else if (level == LEVEL_OBJECT && kube_part_is(part, "metadata"))
        failed = parse(part->value, part->value_size, LEVEL_METADATA, &value, &problem);
    else
        failed = json_parse(part->value, part->value_size, &value, &problem);
    if (failed && !is_too_much(part, &problem))
        return err_set(err, problem.kind, "%s: %s", key, problem.text);
    if (failed && level == LEVEL_OBJECT)
        (void)json_set_string(object, key, problem.text);
    else if (!failed)
        (void)json_set_take(object, key, value);
    return 0;
}

static int parse(const char *text, size_t size, enum level level, struct json **ret_tree, struct err *err)
{
    _cleanup_(json_freep) struct json *object = NULL;
    struct kube_split split;
    struct kube_part part;
    int found = 0;
    if (json_parse(text, size, ret_tree, err) == 0)
        return 0;
    if (kube_split_begin(text, size, '{', &split, NULL) < 0)
        return -1; /* what json_parse said */
    object = json_object_new();
    while ((found = kube_split_next(&split, &part, err)) > 0) {
        if (parse_part(&part, level, object, err) < 0)
            return -1;
    }
    if (found < 0)
        return -1;
    *ret_tree = steal_ptr(&object);
    return 0;
}

/* ---- managedFields ---- */

static bool find_managed(const char *text, size_t size, enum level level, struct kube_part *ret_part)
{
    struct kube_split split;
    if (kube_split_begin(text, size, '{', &split, NULL) < 0 ||
        (level == LEVEL_EVENT && kube_split_enter(&split, "object", NULL) <= 0) ||
        kube_split_enter(&split, "metadata", NULL) <= 0)
        return false;
    while (kube_split_next(&split, ret_part, NULL) > 0)
        if (kube_part_is(ret_part, "managedFields"))
            return ret_part->value[0] == '[';
    return false;
}

/* Nobody reads them, and they may be half of an object: trees are made without. */
static int parse_without_managed(
    const char *text, size_t size, enum level level, struct json **ret_tree, struct err *err)
{
    struct kube_part part;
    if (!find_managed(text, size, level, &part))
        return parse(text, size, level, ret_tree, err);
    size_t before = (size_t)(part.value - text);
    size_t after = size - before - part.value_size;
    _cleanup_(cleanup_free) char *cut = xmalloc(before + strlen("null") + after);
    memcpy(cut, text, before);
    memcpy(cut + before, "null", strlen("null"));
    memcpy(cut + before + strlen("null"), part.value + part.value_size, after);
    return parse(cut, before + strlen("null") + after, level, ret_tree, err);
}

int kube_object_text_parse(const char *text, size_t size, struct json **ret_object, struct err *err)
{
    return parse_without_managed(text, size, LEVEL_OBJECT, ret_object, err);
}

int kube_event_text_parse(const char *text, size_t size, struct json **ret_event, struct err *err)
{
    return parse_without_managed(text, size, LEVEL_EVENT, ret_event, err);
}
