/* XXH64 with a fixed seed: the same bytes give the same number on every machine and in every version, for
 * ever, as shards and placement depend on it. Not for secrets. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const void *data, size_t size);
uint64_t hash_string(const char *text);
/* One number spread over 64 bits (the last step of XXH64). */
uint64_t hash_u64(uint64_t number);

#endif
