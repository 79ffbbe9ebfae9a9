#include "actor/slab.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void slab_add_chunk(struct slab *slab)
{
    /* Fresh pages of mmap cost memory only once they are written. */
    void *chunk = mmap(NULL, SLAB_CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED)
        abort(); /* out of memory, as xmalloc does */
    vec_push(&slab->chunks, chunk);
    slab->fresh = chunk;
    slab->fresh_end = slab->fresh + SLAB_CHUNK_BYTES;
}

void *slab_get_fresh(struct slab *slab, unsigned class)
{
    size_t bytes = slab_class_bytes(class);
    if ((size_t)(slab->fresh_end - slab->fresh) < bytes) {
        while (slab->fresh < slab->fresh_end) { /* the rest of the old chunk becomes small blocks */
            slab_put(slab, slab->fresh, 0);
            slab->fresh += SLAB_BLOCK_MIN;
        }
        slab_add_chunk(slab);
    }
    void *block = slab->fresh;
    slab->fresh += bytes;
    return block;
}

void slab_done(struct slab *slab)
{
    vec_for_each (chunk, &slab->chunks) {
        SLAB_UNPOISON(*chunk, SLAB_CHUNK_BYTES);
        (void)munmap(*chunk, SLAB_CHUNK_BYTES); /* ours since mmap: cannot fail */
    }
    vec_done(&slab->chunks);
    memset(slab, 0, sizeof(*slab));
}

void *slab_zeroed(struct slab *slab, size_t bytes)
{
    unsigned class = slab_class(bytes);
    if (class == SLAB_HEAP)
        return xcalloc(1, bytes);
    return memset(slab_get(slab, class), 0, slab_class_bytes(class));
}

void slab_release(struct slab *slab, void *memory, size_t bytes)
{
    unsigned class = slab_class(bytes);
    if (class == SLAB_HEAP)
        free(memory);
    else if (memory)
        slab_put(slab, memory, class);
}
