/* An intrusive binary heap: the node is a member of the object, which can so be moved and removed without a
 * search. The heap does not own its objects. Thread: whatever guards the heap. */
#ifndef KUBE_HEAP_H
#define KUBE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/vec.h"

struct heap_node {
    size_t place; /* in the heap, counted from 1; 0 when in none */
};

struct heap {
    VEC(struct heap_node *) nodes;
    bool (*comes_before)(const struct heap_node *left, const struct heap_node *right);
};

static inline bool heap_has(const struct heap_node *node)
{
    return node->place != 0;
}

/* The first one, or NULL. */
static inline struct heap_node *heap_first(const struct heap *heap)
{
    return heap->nodes.count > 0 ? heap->nodes.items[0] : NULL;
}

void heap_add(struct heap *heap, struct heap_node *node);
void heap_remove(struct heap *heap, struct heap_node *node);
/* node comes earlier than it did. */
void heap_raise(struct heap *heap, struct heap_node *node);
/* Frees the memory of the heap, whose objects are no longer asked for their places. */
void heap_done(struct heap *heap);

#endif
