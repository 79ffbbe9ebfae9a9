#include "base/map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

/* Invariants:
 * 1. A bucket holds 0 (never used since the last rebuild), removed_bucket, or the number of a live slot
 * plus 1.
 * 2. Live and removed buckets together fill at most three quarters, so a search always meets a free bucket.
 * 3. A live slot is found from its hash by linear probing without passing a free bucket.
 * 4. slot_count <= slot_capacity; holes have is_live false and own nothing. */

struct map_slot {
    uint64_t hash;
    union {
        char *text; /* owned */
        uint64_t number;
    } key;
    uint32_t key_size; /* of a text */
    bool is_live;
    void *value;
};

/* A key that is looked for: a text when text is not NULL. */
struct wanted {
    const char *text;
    size_t size;
    uint64_t number;
    uint64_t hash;
};

enum { BUCKETS_MIN = 8 };
static const uint32_t free_bucket = 0;
static const uint32_t removed_bucket = UINT32_MAX;

static struct wanted wanted_text(const char *text, size_t size)
{
    return (struct wanted){.text = text, .size = size, .hash = hash_bytes(text, size)};
}

static struct wanted wanted_number(uint64_t number)
{
    return (struct wanted){.number = number, .hash = hash_u64(number)};
}

static bool slot_is(const struct map_slot *slot, const struct wanted *wanted)
{
    if (slot->hash != wanted->hash)
        return false;
    if (!wanted->text)
        return slot->key.number == wanted->number;
    return slot->key_size == wanted->size && memcmp(slot->key.text, wanted->text, wanted->size) == 0;
}

/* The bucket of the key, or NULL. */
static uint32_t *table_find(const struct map_table *table, const struct wanted *wanted)
{
    if (table->bucket_count == 0)
        return NULL;
    size_t mask = table->bucket_count - 1;
    for (size_t i = wanted->hash & mask;; i = (i + 1) & mask) { /* ends by invariant 2 */
        uint32_t bucket = table->buckets[i];
        if (bucket == free_bucket)
            return NULL;
        if (bucket != removed_bucket && slot_is(&table->slots[bucket - 1], wanted))
            return &table->buckets[i];
    }
}

static struct map_slot *table_slot(const struct map_table *table, const struct wanted *wanted)
{
    const uint32_t *bucket = table_find(table, wanted);
    return bucket ? &table->slots[*bucket - 1] : NULL;
}

static void link_slot(struct map_table *table, size_t slot)
{
    size_t mask = table->bucket_count - 1;
    size_t i = table->slots[slot].hash & mask;
    while (table->buckets[i] != free_bucket) /* ends by invariant 2 */
        i = (i + 1) & mask;
    table->buckets[i] = (uint32_t)slot + 1;
}

/* Closes the holes and makes room for at least one more. */
static void rebuild(struct map_table *table)
{
    size_t live = 0;
    for (size_t i = 0; i < table->slot_count; i++) {
        if (table->slots[i].is_live)
            table->slots[live++] = table->slots[i];
    }
    assert(live == table->count);
    table->slot_count = live;

    size_t bucket_count = BUCKETS_MIN;
    while (bucket_count / 2 < live + 1)
        bucket_count *= 2;
    assert(bucket_count < UINT32_MAX);
    if (bucket_count != table->bucket_count) {
        free(table->buckets);
        table->buckets = xcalloc(bucket_count, sizeof(*table->buckets));
        table->bucket_count = bucket_count;
        table->slot_capacity = bucket_count / 4 * 3;
        table->slots = xreallocarray(table->slots, table->slot_capacity, sizeof(*table->slots));
    } else {
        memset(table->buckets, 0, bucket_count * sizeof(*table->buckets));
    }
    for (size_t i = 0; i < live; i++)
        link_slot(table, i);
}

static void *table_put(struct map_table *table, const struct wanted *wanted, void *value)
{
    struct map_slot *slot = table_slot(table, wanted);
    if (slot) {
        void *former = slot->value;
        slot->value = value;
        return former;
    }
    /* Each insertion uses a slot and at most one new bucket, and slots are never used twice between rebuilds,
     * so the capacity of slots bounds the filled buckets as well. */
    if (table->slot_count == table->slot_capacity)
        rebuild(table);
    slot = &table->slots[table->slot_count];
    *slot = (struct map_slot){.hash = wanted->hash, .is_live = true, .value = value};
    if (wanted->text) {
        assert(wanted->size < UINT32_MAX);
        slot->key.text = xmalloc(wanted->size + 1);
        memcpy(slot->key.text, wanted->text, wanted->size);
        slot->key.text[wanted->size] = '\0';
        slot->key_size = (uint32_t)wanted->size;
    } else {
        slot->key.number = wanted->number;
    }
    link_slot(table, table->slot_count);
    table->slot_count++;
    table->count++;
    return NULL;
}

static void *table_remove(struct map_table *table, const struct wanted *wanted)
{
    uint32_t *bucket = table_find(table, wanted);
    if (!bucket)
        return NULL;
    struct map_slot *slot = &table->slots[*bucket - 1];
    void *value = slot->value;
    if (wanted->text)
        free(slot->key.text);
    slot->is_live = false;
    *bucket = removed_bucket;
    table->count--;
    return value;
}

static void table_done(struct map_table *table, bool has_texts, map_free_value free_value)
{
    for (size_t i = 0; i < table->slot_count; i++) {
        struct map_slot *slot = &table->slots[i];
        if (!slot->is_live)
            continue;
        if (has_texts)
            free(slot->key.text);
        if (free_value)
            free_value(slot->value);
    }
    free(table->slots);
    free(table->buckets);
    *table = (struct map_table){0};
}

static const struct map_slot *table_next(const struct map_table *table, size_t *position)
{
    while (*position < table->slot_count) {
        const struct map_slot *slot = &table->slots[(*position)++];
        if (slot->is_live)
            return slot;
    }
    return NULL;
}

void map_done(struct map *map, map_free_value free_value)
{
    table_done(&map->table, /* has_texts= */ true, free_value);
}

void map64_done(struct map64 *map, map_free_value free_value)
{
    table_done(&map->table, /* has_texts= */ false, free_value);
}

void *map_get_bytes(const struct map *map, const char *key, size_t key_size)
{
    if (map->table.count == 0)
        return NULL;
    struct wanted wanted = wanted_text(key, key_size);
    const struct map_slot *slot = table_slot(&map->table, &wanted);
    return slot ? slot->value : NULL;
}

void *map_get(const struct map *map, const char *key)
{
    return map_get_bytes(map, key, strlen(key));
}

void *map64_get(const struct map64 *map, uint64_t key)
{
    struct wanted wanted = wanted_number(key);
    const struct map_slot *slot = table_slot(&map->table, &wanted);
    return slot ? slot->value : NULL;
}

bool map_has(const struct map *map, const char *key)
{
    struct wanted wanted = wanted_text(key, strlen(key));
    return table_find(&map->table, &wanted) != NULL;
}

bool map64_has(const struct map64 *map, uint64_t key)
{
    struct wanted wanted = wanted_number(key);
    return table_find(&map->table, &wanted) != NULL;
}

void *map_put(struct map *map, const char *key, void *value)
{
    struct wanted wanted = wanted_text(key, strlen(key));
    return table_put(&map->table, &wanted, value);
}

void *map64_put(struct map64 *map, uint64_t key, void *value)
{
    struct wanted wanted = wanted_number(key);
    return table_put(&map->table, &wanted, value);
}

void *map_remove(struct map *map, const char *key)
{
    struct wanted wanted = wanted_text(key, strlen(key));
    return table_remove(&map->table, &wanted);
}

void *map64_remove(struct map64 *map, uint64_t key)
{
    struct wanted wanted = wanted_number(key);
    return table_remove(&map->table, &wanted);
}

bool map_next(const struct map *map, struct map_item *item)
{
    const struct map_slot *slot = table_next(&map->table, &item->position);
    if (!slot)
        return false;
    item->key = slot->key.text;
    item->value = slot->value;
    return true;
}

bool map64_next(const struct map64 *map, struct map64_item *item)
{
    const struct map_slot *slot = table_next(&map->table, &item->position);
    if (!slot)
        return false;
    item->key = slot->key.number;
    item->value = slot->value;
    return true;
}
