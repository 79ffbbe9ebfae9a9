#include "actor/spec.h"

#include "base/mem.h"

#include <string.h>

static size_t text_bytes(const char *text)
{
    return text && *text ? strlen(text) + 1 : 0;
}

static const void *put(char **at, const void *bytes, size_t size)
{
    char *to = *at;
    *at += size;
    return memcpy(to, bytes, size);
}

static const char *put_text(char **at, const char *text)
{
    size_t size = text_bytes(text);
    return size > 0 ? put(at, text, size) : "";
}

static size_t child_bytes(const struct actor_child_spec *child)
{
    return text_bytes(child->name) + text_bytes(child->under) + text_bytes(child->behavior) +
           child->arguments_size;
}

static struct actor_child_spec put_child(char **at, const struct actor_child_spec *child)
{
    struct actor_child_spec copy = *child;
    copy.name = put_text(at, child->name);
    copy.under = put_text(at, child->under);
    copy.behavior = child->behavior ? put_text(at, child->behavior) : NULL;
    copy.arguments = child->arguments_size > 0 ? put(at, child->arguments, child->arguments_size) : NULL;
    return copy;
}

struct actor_unit_spec *spec_dup(const struct actor_unit_spec *spec)
{
    size_t size = sizeof(*spec) + spec->child_count * sizeof(*spec->children) + text_bytes(spec->name) +
                  child_bytes(&spec->root);
    for (size_t i = 0; i < spec->child_count; i++)
        size += child_bytes(&spec->children[i]);
    struct actor_unit_spec *copy = xmalloc(size);
    struct actor_child_spec *children = (struct actor_child_spec *)(copy + 1);
    char *at = (char *)(children + spec->child_count);
    *copy = *spec;
    copy->name = put_text(&at, spec->name);
    copy->root = put_child(&at, &spec->root);
    copy->children = children;
    for (size_t i = 0; i < spec->child_count; i++)
        children[i] = put_child(&at, &spec->children[i]);
    return copy;
}
