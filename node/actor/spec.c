#include "actor/spec.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static void child_copy(struct actor_child_spec *to, const struct actor_child_spec *from)
{
    *to = *from;
    to->name = xstrdup(from->name ? from->name : "");
    to->under = xstrdup(from->under ? from->under : "");
    to->behavior = from->behavior ? xstrdup(from->behavior) : NULL;
    to->arguments = from->arguments_size > 0 ? xmemdup(from->arguments, from->arguments_size) : NULL;
}

static void child_free(const struct actor_child_spec *child)
{
    free((void *)(uintptr_t)child->name); /* ours, although its readers see it const */
    free((void *)(uintptr_t)child->under);
    free((void *)(uintptr_t)child->behavior);
    free((void *)(uintptr_t)child->arguments);
}

void spec_copy(struct actor_unit_spec *copy, const struct actor_unit_spec *spec)
{
    *copy = *spec;
    copy->name = xstrdup(spec->name);
    child_copy(&copy->root, &spec->root);
    struct actor_child_spec *children = xcalloc(spec->child_count + 1, sizeof(*children));
    for (size_t i = 0; i < spec->child_count; i++)
        child_copy(&children[i], &spec->children[i]);
    copy->children = children;
}

void spec_done(struct actor_unit_spec *copy)
{
    free((void *)(uintptr_t)copy->name);
    child_free(&copy->root);
    for (size_t i = 0; i < copy->child_count; i++)
        child_free(&copy->children[i]);
    free((void *)(uintptr_t)copy->children);
    memset(copy, 0, sizeof(*copy));
}
