/* Hash maps from texts (struct map) and from numbers (struct map64) to pointers. Entries keep the order in
 * which they were put, so that a walk over a map is the same in every run: seeded simulations rely on it.
 * Keys are copied, values are the caller's. A zeroed struct is an empty map; one of a few entries is small,
 * as there may be many of them. Thread: whatever guards the map. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot;

/* What both maps are made of; private. */
struct map_table {
    struct map_slot *slots; /* in the order of insertion; removed ones are holes until the next growth */
    uint32_t *buckets;      /* open addressing: slot number + 1, 0 for free, UINT32_MAX for removed */
    uint32_t slot_count;    /* with holes */
    uint32_t slot_capacity;
    uint32_t bucket_count; /* a power of two; 0: a small map, which is searched from slot to slot */
    uint32_t count;        /* without holes */
};

struct map {
    struct map_table table;
};

struct map64 {
    struct map_table table;
};

typedef void (*map_free_value)(void *value);

/* Frees the map and its keys, and with free_value (NULL to leave them) its values. The map is empty
 * afterwards. */
void map_done(struct map *map, map_free_value free_value);
void map64_done(struct map64 *map, map_free_value free_value);

/* The value, or NULL when the key is not there. */
void *map_get(const struct map *map, const char *key);
void *map_get_bytes(const struct map *map, const char *key, size_t key_size); /* no NUL at the end needed */
void *map64_get(const struct map64 *map, uint64_t key);

bool map_has(const struct map *map, const char *key);
bool map64_has(const struct map64 *map, uint64_t key);

/* Sets the value of key and returns the former one, NULL when there was none. */
void *map_put(struct map *map, const char *key, void *value);
void *map64_put(struct map64 *map, uint64_t key, void *value);

/* Removes key and returns its value, NULL when it was not there. Allowed for any key during a walk. */
void *map_remove(struct map *map, const char *key);
void *map64_remove(struct map64 *map, uint64_t key);

static inline size_t map_count(const struct map *map)
{
    return map->table.count;
}

static inline size_t map64_count(const struct map64 *map)
{
    return map->table.count;
}

/* A walk in the order of insertion. Removing is allowed meanwhile; putting a new key is not.
 *
 *     map_for_each(item, &map) use(item.key, item.value);
 */
struct map_item {
    size_t position; /* private */
    const char *key;
    void *value;
};

struct map64_item {
    size_t position; /* private */
    uint64_t key;
    void *value;
};

bool map_next(const struct map *map, struct map_item *item); /* from a zeroed item; false at the end */
bool map64_next(const struct map64 *map, struct map64_item *item);

#define map_for_each(item, map) for (struct map_item item = {0}; map_next((map), &item);)
#define map64_for_each(item, map) for (struct map64_item item = {0}; map64_next((map), &item);)

#endif
