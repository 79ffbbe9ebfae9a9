#include "kube/heap.h"

static void put(struct heap *heap, size_t place, struct heap_node *node)
{
    heap->nodes.items[place - 1] = node;
    node->place = place;
}

static struct heap_node *at(const struct heap *heap, size_t place)
{
    return heap->nodes.items[place - 1];
}

void heap_raise(struct heap *heap, struct heap_node *node)
{
    size_t place = node->place;
    while (place > 1 && heap->comes_before(node, at(heap, place / 2))) {
        put(heap, place, at(heap, place / 2));
        place /= 2;
    }
    put(heap, place, node);
}

static void lower(struct heap *heap, struct heap_node *node)
{
    size_t place = node->place;
    for (size_t child = 2 * place; child <= heap->nodes.count; child = 2 * place) {
        if (child < heap->nodes.count && heap->comes_before(at(heap, child + 1), at(heap, child)))
            child++;
        if (!heap->comes_before(at(heap, child), node))
            break;
        put(heap, place, at(heap, child));
        place = child;
    }
    put(heap, place, node);
}

void heap_add(struct heap *heap, struct heap_node *node)
{
    assert(!heap_has(node));
    vec_push(&heap->nodes, node);
    node->place = heap->nodes.count;
    heap_raise(heap, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    assert(heap_has(node));
    size_t place = node->place;
    node->place = 0;
    struct heap_node *last = vec_pop(&heap->nodes);
    if (last == node)
        return;
    put(heap, place, last);
    heap_raise(heap, last);
    lower(heap, last);
}

void heap_done(struct heap *heap)
{
    vec_done(&heap->nodes);
}
