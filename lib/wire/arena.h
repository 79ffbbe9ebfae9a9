/* wire/arena.h: the memory of one decoded message. Blocks are taken in turn and given back all at once, so a
 * decoded message is never freed piece by piece: reset or done ends it. A limit on all blocks together keeps
 * a hostile frame from making us allocate without bound (a few bytes of input can ask for a hundred times as
 * much).
 *
 *     uint8_t first[4096];
 *     struct wire_arena arena;
 *     wire_arena_init(&arena, first, sizeof(first), 4 * LIMIT_FRAME_BYTES);
 *     ... wire_unpack(..., &arena, ...) ... wire_arena_reset(&arena) ... wire_arena_done(&arena)
 *
 * Thread: one at a time; belongs to its creator. Not to be moved after init. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_arena_block;

struct wire_arena {
    ProtobufCAllocator allocator; /* for protobuf-c; what it frees stays until reset */
    uint8_t *first;
    size_t first_size;
    struct wire_arena_block *blocks; /* from the heap, newest first */
    uint8_t *next;                   /* free part of the current block */
    uint8_t *end;
    size_t used_bytes; /* handed out since the last reset */
    size_t bytes_max;
    bool exhausted; /* an allocation was refused since the last reset */
};

/* `first` (may be NULL with 0) is the caller's, used before any heap block, and must outlive the arena. */
void wire_arena_init(struct wire_arena *arena, void *first, size_t first_size, size_t bytes_max);

/* Everything that was allocated is gone. The newest heap block is kept for the next message. */
void wire_arena_reset(struct wire_arena *arena);

/* Frees all blocks; the arena is empty and usable again. */
void wire_arena_done(struct wire_arena *arena);

/* Aligned for any type; NULL past the limit. */
void *wire_arena_alloc(struct wire_arena *arena, size_t size);
