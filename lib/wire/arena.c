#include "wire/arena.h"

#include <stdalign.h>

#include "base/mem.h"

enum {
    BLOCK_BYTES_MIN = 16 * 1024,
    BLOCK_BYTES_MAX = 1024 * 1024, /* of a block that serves many allocations */
    ALIGNMENT = alignof(max_align_t),
};

struct wire_arena_block {
    struct wire_arena_block *older;
    size_t size;
    alignas(max_align_t) uint8_t data[];
};

static void *allocator_alloc(void *arena, size_t size)
{
    return wire_arena_alloc(arena, size);
}

static void allocator_free(void *arena, void *pointer)
{
    (void)arena; /* given back by reset or done */
    (void)pointer;
}

static size_t align_up(size_t size)
{
    return (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static void use_memory(struct wire_arena *arena, uint8_t *data, size_t size)
{
    size_t skip = data ? align_up((uintptr_t)data) - (uintptr_t)data : 0;
    if (skip > size)
        skip = size;
    arena->next = data ? data + skip : NULL;
    arena->end = data ? data + size : NULL;
}

void wire_arena_init(struct wire_arena *arena, void *first, size_t first_size, size_t bytes_max)
{
    *arena = (struct wire_arena){
        .allocator = {.alloc = allocator_alloc, .free = allocator_free, .allocator_data = arena},
        .first = first,
        .first_size = first_size,
        .bytes_max = bytes_max,
    };
    use_memory(arena, first, first_size);
}

static void free_blocks(struct wire_arena_block *block)
{
    while (block) {
        struct wire_arena_block *older = block->older;
        free(block);
        block = older;
    }
}

void wire_arena_reset(struct wire_arena *arena)
{
    struct wire_arena_block *kept = arena->blocks;
    if (kept) {
        free_blocks(kept->older);
        kept->older = NULL;
    }
    if (kept && kept->size > arena->first_size)
        use_memory(arena, kept->data, kept->size);
    else
        use_memory(arena, arena->first, arena->first_size);
    arena->used_bytes = 0;
    arena->exhausted = false;
}

void wire_arena_done(struct wire_arena *arena)
{
    free_blocks(arena->blocks);
    arena->blocks = NULL;
    use_memory(arena, arena->first, arena->first_size);
    arena->used_bytes = 0;
    arena->exhausted = false;
}

static void add_block(struct wire_arena *arena, size_t size)
{
    size_t block_size = arena->blocks ? 2 * arena->blocks->size : BLOCK_BYTES_MIN;
    if (block_size > BLOCK_BYTES_MAX)
        block_size = BLOCK_BYTES_MAX;
    if (block_size < size)
        block_size = size;
    struct wire_arena_block *block = xmalloc(sizeof(*block) + block_size);
    block->size = block_size;
    block->older = arena->blocks;
    arena->blocks = block;
    use_memory(arena, block->data, block_size);
}

void *wire_arena_alloc(struct wire_arena *arena, size_t size)
{
    size_t left = arena->bytes_max - arena->used_bytes;
    size_t taken = size > 0 && size <= left ? align_up(size) : ALIGNMENT;
    if (size > left || taken > left) {
        arena->exhausted = true;
        return NULL;
    }
    if (!arena->next || (size_t)(arena->end - arena->next) < taken)
        add_block(arena, taken);
    void *pointer = arena->next;
    arena->next += taken;
    arena->used_bytes += taken;
    return pointer;
}
