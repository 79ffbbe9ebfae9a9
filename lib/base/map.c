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
 * 4. slot_count <= slot_capacity; holes have key_size HOLE and own nothing.
 * 5. A table without buckets has at most SMALL_MAX slots; 1 to 3 do not concern it. */

struct map_slot {
    uint32_t hash;
    uint32_t key_size; /* of a text; HOLE: removed */
    union {
        char *text; /* owned */
        uint64_t number;
    } key;
    void *value;
};

/* A key that is looked for: a text when text is not NULL. */
struct wanted {
    const char *text;
    size_t size;
    uint64_t number;
    uint32_t hash;
};

enum { SMALL_MAX = 8 }; /* a power of two */
static const uint32_t free_bucket = 0;
static const uint32_t removed_bucket = UINT32_MAX;
#define HOLE UINT32_MAX

static struct wanted wanted_text(const char *text, size_t size)
{
    return (struct wanted){.text = text, .size = size, .hash = (uint32_t)hash_bytes(text, size)};
}

static struct wanted wanted_number(uint64_t number)
{
    return (struct wanted){.number = number, .hash = (uint32_t)hash_u64(number)};
}

static bool slot_is(const struct map_slot *slot, const struct wanted *wanted)
{
    if (slot->hash != wanted->hash || slot->key_size == HOLE)
        return false;
    if (!wanted->text)
        return slot->key.number == wanted->number;
    return slot->key_size == wanted->size && memcmp(slot->key.text, wanted->text, wanted->size) == 0;
}

/* The bucket of the key, or NULL. The table has buckets. */
static uint32_t *find_bucket(const struct map_table *table, const struct wanted *wanted)
{
    uint32_t mask = table->bucket_count - 1;
    for (uint32_t i = wanted->hash & mask;; i = (i + 1) & mask) { /* ends by invariant 2 */
        uint32_t bucket = table->buckets[i];
        if (bucket == free_bucket)
            return NULL;
        if (bucket != removed_bucket && slot_is(&table->slots[bucket - 1], wanted))
            return &table->buckets[i];
    }
}

/* The slot of the key, or NULL; with the bucket that it is in, NULL in a small table. */
static struct map_slot *table_find(
    const struct map_table *table, const struct wanted *wanted, uint32_t **ret_bucket)
{
    *ret_bucket = NULL;
    if (table->bucket_count > 0) {
        *ret_bucket = find_bucket(table, wanted);
        return *ret_bucket ? &table->slots[**ret_bucket - 1] : NULL;
    }
    for (uint32_t i = 0; i < table->slot_count; i++)
        if (slot_is(&table->slots[i], wanted))
            return &table->slots[i];
    return NULL;
}

static struct map_slot *table_slot(const struct map_table *table, const struct wanted *wanted)
{
    uint32_t *bucket;
    return table_find(table, wanted, &bucket);
}

/* The table has buckets. */
static void link_slot(struct map_table *table, uint32_t slot)
{
    uint32_t mask = table->bucket_count - 1;
    uint32_t i = table->slots[slot].hash & mask;
    while (table->buckets[i] != free_bucket) /* ends by invariant 2 */
        i = (i + 1) & mask;
    table->buckets[i] = slot + 1;
}

static void resize_slots(struct map_table *table, uint32_t capacity)
{
    table->slot_capacity = capacity;
    table->slots = xreallocarray(table->slots, capacity, sizeof(*table->slots));
}

/* How many are needed for `wanted` slots; 0: none, as the table is small. */
static uint32_t buckets_for(size_t wanted)
{
    size_t count = SMALL_MAX;
    if (wanted <= SMALL_MAX)
        return 0;
    while (count / 2 < wanted)
        count *= 2;
    assert(count < UINT32_MAX);
    return (uint32_t)count;
}

/* Closes the holes and makes room for at least one more. */
static void rebuild(struct map_table *table)
{
    uint32_t live = 0;
    for (uint32_t i = 0; i < table->slot_count; i++) {
        if (table->slots[i].key_size != HOLE)
            table->slots[live++] = table->slots[i];
    }
    assert(live == table->count);
    table->slot_count = live;

    uint32_t bucket_count = buckets_for((size_t)live + 1);
    if (bucket_count != table->bucket_count) {
        free(table->buckets);
        table->buckets = bucket_count > 0 ? xcalloc(bucket_count, sizeof(*table->buckets)) : NULL;
        table->bucket_count = bucket_count;
        resize_slots(table, bucket_count > 0 ? bucket_count / 4 * 3 : SMALL_MAX);
    } else if (bucket_count > 0) {
        memset(table->buckets, 0, bucket_count * sizeof(*table->buckets));
    } else if (live == table->slot_capacity) {
        resize_slots(table, live > 0 ? live * 2 : 1);
    }
    for (uint32_t i = 0; i < live && bucket_count > 0; i++)
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
    *slot = (struct map_slot){.hash = wanted->hash, .value = value};
    if (wanted->text) {
        assert(wanted->size < HOLE);
        slot->key.text = xmalloc(wanted->size + 1);
        memcpy(slot->key.text, wanted->text, wanted->size);
        slot->key.text[wanted->size] = '\0';
        slot->key_size = (uint32_t)wanted->size;
    } else {
        slot->key.number = wanted->number;
    }
    if (table->bucket_count > 0)
        link_slot(table, table->slot_count);
    table->slot_count++;
    table->count++;
    return NULL;
}

static void *table_remove(struct map_table *table, const struct wanted *wanted)
{
    uint32_t *bucket;
    struct map_slot *slot = table_find(table, wanted, &bucket);
    if (!slot)
        return NULL;
    void *value = slot->value;
    if (wanted->text)
        free(slot->key.text);
    slot->key_size = HOLE;
    if (bucket)
        *bucket = removed_bucket;
    table->count--;
    return value;
}

static void table_done(struct map_table *table, bool has_texts, map_free_value free_value)
{
    for (uint32_t i = 0; i < table->slot_count; i++) {
        struct map_slot *slot = &table->slots[i];
        if (slot->key_size == HOLE)
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
        if (slot->key_size != HOLE)
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
    return table_slot(&map->table, &wanted) != NULL;
}

bool map64_has(const struct map64 *map, uint64_t key)
{
    struct wanted wanted = wanted_number(key);
    return table_slot(&map->table, &wanted) != NULL;
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
