#include "transport/asks.h"

#include "base/hash.h"
#include "base/mem.h"

enum { CAPACITY_FIRST = 64 };

static size_t home_of(const struct asks *asks, uint64_t ask)
{
    return hash_u64(ask) & (asks->capacity - 1);
}

void asks_done(struct asks *asks)
{
    free(asks->entries);
    *asks = (struct asks){0};
}

static struct ask_entry *place_of(const struct asks *asks, uint64_t ask)
{
    size_t place = home_of(asks, ask);
    while (asks->entries[place].ask != 0 && asks->entries[place].ask != ask)
        place = (place + 1) & (asks->capacity - 1);
    return &asks->entries[place];
}

static void grow(struct asks *asks)
{
    struct asks larger = {.capacity = asks->capacity ? asks->capacity * 2 : CAPACITY_FIRST};
    larger.entries = xcalloc(larger.capacity, sizeof(*larger.entries));
    larger.count = asks->count;
    for (size_t i = 0; i < asks->capacity; i++)
        if (asks->entries[i].ask != 0)
            *place_of(&larger, asks->entries[i].ask) = asks->entries[i];
    free(asks->entries);
    *asks = larger;
}

void asks_put(struct asks *asks, uint64_t ask, uint64_t asker, int64_t deadline_ns)
{
    if (asks->count * 2 >= asks->capacity)
        grow(asks);
    struct ask_entry *entry = place_of(asks, ask);
    if (entry->ask == 0)
        asks->count++;
    *entry = (struct ask_entry){ask, asker, deadline_ns};
}

/* Moves later entries of the run up, so that no search ends too early at the hole. */
static void close_hole(struct asks *asks, size_t hole)
{
    size_t mask = asks->capacity - 1;
    for (size_t i = (hole + 1) & mask; asks->entries[i].ask != 0; i = (i + 1) & mask) {
        size_t home = home_of(asks, asks->entries[i].ask);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            asks->entries[hole] = asks->entries[i];
            hole = i;
        }
    }
    asks->entries[hole] = (struct ask_entry){0};
}

bool asks_remove(struct asks *asks, uint64_t ask)
{
    if (asks->count == 0 || ask == 0)
        return false;
    struct ask_entry *entry = place_of(asks, ask);
    if (entry->ask == 0)
        return false;
    close_hole(asks, (size_t)(entry - asks->entries));
    asks->count--;
    return true;
}

void asks_sweep(struct asks *asks, int64_t now_ns)
{
    for (size_t i = 0; i < asks->capacity;) {
        if (asks->entries[i].ask != 0 && asks->entries[i].deadline_ns < now_ns) {
            close_hole(asks, i); /* something else may be here now: look again */
            asks->count--;
        } else
            i++;
    }
}
