/* Blocks of 64, 128, 256 and 512 bytes, line-aligned, from chunks that belong to one worker: two workers
 * never write to one cache line, and taking or giving back a block is a few plain loads and stores. Chunks
 * are given back to the system only with the slab. Larger blocks are malloc's.
 *
 * Thread: the worker that owns the slab. */
#ifndef ACTOR_SLAB_H
#define ACTOR_SLAB_H

#include "base/vec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define SLAB_POISON(block, bytes) ASAN_POISON_MEMORY_REGION(block, bytes)
#define SLAB_UNPOISON(block, bytes) ASAN_UNPOISON_MEMORY_REGION(block, bytes)
#else
#define SLAB_POISON(block, bytes) ((void)0)
#define SLAB_UNPOISON(block, bytes) ((void)0)
#endif

enum {
    SLAB_CLASSES = 4,
    SLAB_BLOCK_MIN = 64,
    SLAB_BLOCK_MAX = SLAB_BLOCK_MIN << (SLAB_CLASSES - 1),
    SLAB_CHUNK_BYTES = 1024 * 1024,
    SLAB_HEAP = SLAB_CLASSES, /* the class of what is too large: malloc and free */
};

struct slab_block {
    struct slab_block *next;
};

struct slab {
    struct slab_block *free[SLAB_CLASSES];
    char *fresh; /* not yet handed out: up to fresh_end */
    char *fresh_end;
    VEC(void *) chunks;
};

/* Zeroed is empty. Frees every chunk, whoever still holds blocks of it. */
void slab_done(struct slab *slab);
/* A block from fresh memory; the slow half of slab_get. */
void *slab_get_fresh(struct slab *slab, unsigned class);

static inline size_t slab_class_bytes(unsigned class)
{
    return (size_t)SLAB_BLOCK_MIN << class;
}

static inline unsigned slab_class(size_t bytes)
{
    if (__builtin_expect(bytes <= SLAB_BLOCK_MIN, 1))
        return 0;
    return bytes <= 128 ? 1 : bytes <= 256 ? 2 : bytes <= SLAB_BLOCK_MAX ? 3 : SLAB_HEAP;
}

/* True when the next slab_get() of that class takes a block that was used before. */
static inline bool slab_has(const struct slab *slab, unsigned class)
{
    return slab->free[class] != NULL;
}

/* class is below SLAB_HEAP. The content is undefined. */
static inline void *slab_get(struct slab *slab, unsigned class)
{
    struct slab_block *block = slab->free[class];
    if (__builtin_expect(!block, 0))
        return slab_get_fresh(slab, class);
    SLAB_UNPOISON(block, slab_class_bytes(class));
    slab->free[class] = block->next;
    return block;
}

static inline void slab_put(struct slab *slab, void *memory, unsigned class)
{
    struct slab_block *block = memory;
    block->next = slab->free[class];
    slab->free[class] = block;
    SLAB_POISON(block, slab_class_bytes(class));
}

/* Zeroed memory of any size, from the slab when it is small enough; give back with the same size. */
void *slab_zeroed(struct slab *slab, size_t bytes);
void slab_release(struct slab *slab, void *memory, size_t bytes);

#endif
