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

/* Invariant: an actor's id has the slot's number in its low bits exactly while it is alive or held. A look-up
 * chooses the slot by these bits of the id that it was given, so that its one comparison then fails for a
 * stale id, for another worker's, and for whatever a hostile peer made up for a free slot. */

struct actor *registry_take(struct worker *worker)
{
    struct actor *actor = worker->free_actors;
    if (actor) {
        worker->free_actors = actor->next;
        actor->next = NULL;
        actor->id ^= ID_SLOT_MASK;
        return actor;
    }
    uint32_t slot = worker->slot_end;
    if (slot > ID_SLOT_MASK)
        return NULL;
    if ((slot >> REGISTRY_CHUNK_BITS) >= worker->chunks.count && !registry_add_chunk(worker))
        return NULL;
    worker->slot_end = slot + 1;
    actor = registry_slot(worker, slot);
    actor->id = UINT64_C(1) << 32 | worker->number << ID_SLOT_BITS | slot;
    return actor;
}

void registry_renew(struct actor *actor)
{
    uint64_t generation = actor->id >> 32;
    actor->id = (generation >= ID_GENERATION_MAX ? 1 : generation + 1) << 32 | (uint32_t)actor->id;
}

void registry_bury(struct actor *actor)
{
    actor->id ^= ID_SLOT_MASK;
}

void registry_give_back(struct worker *worker, struct actor *actor)
{
    uint64_t id = actor->id;
    memset(actor, 0, sizeof(*actor));
    actor->id = id;
    if (id >> 32 == 1)
        return; /* came round: the slot is used no more, so that no old id becomes valid again */
    actor->next = worker->free_actors;
    worker->free_actors = actor;
}
