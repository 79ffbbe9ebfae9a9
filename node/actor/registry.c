/* Slots of actors: see worker.h for the look-up. */
#include "actor/worker.h"

#include "base/mem.h"

#include <sys/mman.h>

static bool registry_add_chunk(struct worker *worker)
{
    /* Pages cost memory only once an actor was in them. */
    size_t bytes = sizeof(struct actor) * REGISTRY_CHUNK_ACTORS;
    void *chunk = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED)
        return false;
    vec_push(&worker->chunks, chunk);
    return true;
}

struct actor *registry_take(struct worker *worker)
{
    struct actor *actor = worker->free_actors;
    if (actor) {
        worker->free_actors = actor->next;
        actor->next = NULL;
        return actor;
    }
    uint32_t slot = worker->slot_end;
    if (slot > ID_SLOT_MASK)
        return NULL;
    if ((slot >> REGISTRY_CHUNK_BITS) >= worker->chunks.count && !registry_add_chunk(worker))
        return NULL;
    worker->slot_end = slot + 1;
    actor = registry_slot(worker, slot);
    actor->generation = 1;
    actor->index = worker->number << ID_SLOT_BITS | slot;
    return actor;
}

void registry_renew(struct actor *actor)
{
    actor->generation = actor->generation >= ID_GENERATION_MAX ? 1 : actor->generation + 1;
}

void registry_give_back(struct worker *worker, struct actor *actor)
{
    uint32_t generation = actor->generation, index = actor->index;
    memset(actor, 0, sizeof(*actor));
    actor->generation = generation;
    actor->index = index;
    if (generation == 1)
        return; /* came round: the slot is used no more, so that no old id becomes valid again */
    actor->next = worker->free_actors;
    worker->free_actors = actor;
}
