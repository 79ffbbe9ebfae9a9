#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "base/json_private.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"

struct json *json_new(enum json_type type)
{
    struct json *node = xcalloc(1, sizeof(*node));
    node->type = type;
    return node;
}

static bool is_container(const struct json *node)
{
    return node && (node->type == JSON_ARRAY || node->type == JSON_OBJECT);
}

/* Recursion is as deep as the tree, which LIMIT_TREE_DEPTH bounds for what comes from outside. */
void json_free(struct json *root)
{
    if (!root)
        return;
    assert(!root->parent);
    if (root->type == JSON_STRING)
        free(root->as.text.bytes);
    if (is_container(root)) {
        if (root->as.list.index) {
            map_done(root->as.list.index, NULL);
            free(root->as.list.index);
        }
        for (size_t i = 0; i < root->as.list.count; i++) {
            root->as.list.items[i]->parent = NULL;
            json_free(root->as.list.items[i]);
        }
        free(root->as.list.items);
    }
    free(root->key);
    free(root);
}

struct json *json_dup(const struct json *node)
{
    if (!node)
        return json_new(JSON_NULL);
    struct json *copy = json_new(node->type);
    copy->line = node->line;
    if (node->type == JSON_STRING) {
        copy->as.text.bytes = xmemdup(node->as.text.bytes, node->as.text.size + 1);
        copy->as.text.size = node->as.text.size;
    } else if (is_container(node)) {
        for (size_t i = 0; i < node->as.list.count; i++) {
            const struct json *item = node->as.list.items[i];
            json_append_take(copy, item->key ? xstrdup(item->key) : NULL, json_dup(item));
        }
    } else {
        copy->as = node->as;
    }
    return copy;
}

static void index_members(struct json *object)
{
    struct map *index = xcalloc(1, sizeof(*index));
    for (size_t i = 0; i < object->as.list.count; i++) {
        void *former = map_put(index, object->as.list.items[i]->key, object->as.list.items[i]);
        assert(!former);
        (void)former; /* keys are unique */
    }
    object->as.list.index = index;
}

void json_append_take(struct json *container, char *key, struct json *value)
{
    assert(is_container(container));
    assert((container->type == JSON_OBJECT) == (key != NULL));
    assert(!value->parent);
    free(value->key);
    value->key = key;
    value->parent = container;
    vec_push(&container->as.list, value);
    if (container->as.list.index)
        (void)map_put(container->as.list.index, key, value); /* no former one: the key is new */
    else if (key && container->as.list.count > JSON_INDEX_FROM)
        index_members(container);
}

enum json_type json_type(const struct json *node)
{
    return node ? node->type : JSON_NULL;
}

const char *json_type_name(enum json_type type)
{
    switch (type) {
    case JSON_NULL: return "null";
    case JSON_BOOL: return "true or false";
    case JSON_INT:
    case JSON_UINT: return "an integer";
    case JSON_DOUBLE: return "a number";
    case JSON_STRING: return "a string";
    case JSON_ARRAY: return "an array";
    case JSON_OBJECT: return "an object";
    }
    return "something unknown";
}

bool json_is_null(const struct json *node)
{
    return json_type(node) == JSON_NULL;
}

unsigned json_line(const struct json *node)
{
    return node ? node->line : 0;
}

void json_set_line(struct json *node, unsigned line)
{
    node->line = line;
}

const struct json *json_parent(const struct json *node)
{
    return node ? node->parent : NULL;
}

const char *json_key(const struct json *node)
{
    return node ? node->key : NULL;
}

struct json *json_get(const struct json *object, const char *key)
{
    if (json_type(object) != JSON_OBJECT)
        return NULL;
    if (object->as.list.index)
        return map_get(object->as.list.index, key);
    for (size_t i = 0; i < object->as.list.count; i++) {
        if (strcmp(object->as.list.items[i]->key, key) == 0)
            return object->as.list.items[i];
    }
    return NULL;
}

size_t json_count(const struct json *node)
{
    return is_container(node) ? node->as.list.count : 0;
}

struct json *json_at(const struct json *node, size_t index)
{
    return index < json_count(node) ? node->as.list.items[index] : NULL;
}

const char *json_key_at(const struct json *object, size_t index)
{
    return json_key(json_at(object, index));
}

bool json_bool(const struct json *node)
{
    return json_type(node) == JSON_BOOL && node->as.truth;
}

int64_t json_int(const struct json *node)
{
    return json_type(node) == JSON_INT ? node->as.number : 0;
}

uint64_t json_uint(const struct json *node)
{
    if (json_type(node) == JSON_UINT)
        return node->as.large;
    int64_t number = json_int(node);
    return number > 0 ? (uint64_t)number : 0;
}

double json_double(const struct json *node)
{
    if (json_type(node) == JSON_DOUBLE)
        return node->as.real;
    if (json_type(node) == JSON_UINT)
        return (double)node->as.large;
    return (double)json_int(node);
}

const char *json_string(const struct json *node)
{
    return json_type(node) == JSON_STRING ? node->as.text.bytes : "";
}

size_t json_string_size(const struct json *node)
{
    return json_type(node) == JSON_STRING ? node->as.text.size : 0;
}

static bool real_equal(double left, double right)
{
    return memcmp(&left, &right, sizeof(left)) == 0; /* -0.0 is not 0.0: texts differ */
}

bool json_equal(const struct json *left, const struct json *right)
{
    if (json_type(left) != json_type(right))
        return false;
    switch (json_type(left)) {
    case JSON_NULL: return true;
    case JSON_BOOL: return json_bool(left) == json_bool(right);
    case JSON_INT: return json_int(left) == json_int(right);
    case JSON_UINT: return json_uint(left) == json_uint(right);
    case JSON_DOUBLE: return real_equal(left->as.real, right->as.real);
    case JSON_STRING:
        return left->as.text.size == right->as.text.size &&
               memcmp(left->as.text.bytes, right->as.text.bytes, left->as.text.size) == 0;
    case JSON_ARRAY:
    case JSON_OBJECT: break;
    }
    if (json_count(left) != json_count(right))
        return false;
    for (size_t i = 0; i < json_count(left); i++) {
        if (!text_equal(json_key_at(left, i), json_key_at(right, i)) ||
            !json_equal(json_at(left, i), json_at(right, i)))
            return false;
    }
    return true;
}
