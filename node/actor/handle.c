#include "actor/handle.h"

#include <assert.h>

uint64_t handle_new(struct worker *worker, struct handles *handles, void *object)
{
    uint32_t slot = handles->first_free;
    if (slot == 0) {
        if (handles->slots.count == 0)
            vec_push(&handles->slots, ((struct handle_slot){0}));
        slot = (uint32_t)handles->slots.count;
        if (slot > ID_SLOT_MASK)
            return 0;
        vec_push(&handles->slots, ((struct handle_slot){0}));
    } else {
        handles->first_free = handles->slots.items[slot].next_free;
    }
    struct handle_slot *entry = &handles->slots.items[slot];
    entry->generation = entry->generation >= ID_GENERATION_MAX ? 1 : entry->generation + 1;
    entry->object = object;
    return (uint64_t)entry->generation << 32 | worker->number << ID_SLOT_BITS | slot;
}

static struct handle_slot *handle_slot(
    const struct worker *worker, const struct handles *handles, uint64_t number)
{
    uint32_t slot = id_slot(number);
    if (id_worker(number) != worker->number || slot == 0 || slot >= handles->slots.count)
        return NULL;
    struct handle_slot *entry = &handles->slots.items[slot];
    return entry->object && entry->generation == (uint32_t)(number >> 32) ? entry : NULL;
}

void *handle_find(const struct worker *worker, const struct handles *handles, uint64_t number)
{
    const struct handle_slot *entry = handle_slot(worker, handles, number);
    return entry ? entry->object : NULL;
}

void handle_free(struct handles *handles, uint64_t number)
{
    uint32_t slot = id_slot(number);
    struct handle_slot *entry = &handles->slots.items[slot];
    assert(entry->object && entry->generation == (uint32_t)(number >> 32));
    entry->object = NULL;
    entry->next_free = handles->first_free;
    handles->first_free = slot;
}
