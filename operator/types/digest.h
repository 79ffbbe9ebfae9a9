/* A running hash over typed fields, private to this module: what a unit is started from, and what its nodes
 * are made from. Texts are hashed with their length, so that neighbours cannot run into each other. */
#ifndef TYPES_DIGEST_H
#define TYPES_DIGEST_H

#include <stddef.h>
#include <stdint.h>

struct child_spec;
struct entry_spec;

struct digest {
    uint64_t state;
};

void digest_u64(struct digest *digest, uint64_t number);
void digest_bytes(struct digest *digest, const void *data, size_t size);
void digest_text(struct digest *digest, const char *text); /* NULL differs from "" */

/* Everything that a unit of the entry must be restarted for when it changes. */
void digest_entry(struct digest *digest, const struct entry_spec *entry);

#endif
