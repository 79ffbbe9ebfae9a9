#include "base/hash.h"

#include <string.h>
#include <xxhash.h>

/* Placement of shards depends on it: never changes. */
static const uint64_t seed = 0x68697374; /* "hist" */

uint64_t hash_bytes(const void *data, size_t size)
{
    return XXH64(data, size, seed);
}

uint64_t hash_string(const char *text)
{
    return hash_bytes(text, strlen(text));
}

uint64_t hash_u64(uint64_t number)
{
    number ^= number >> 33;
    number *= 0xC2B2AE3D27D4EB4FULL;
    number ^= number >> 29;
    number *= 0x165667B19E3779F9ULL;
    number ^= number >> 32;
    return number;
}
