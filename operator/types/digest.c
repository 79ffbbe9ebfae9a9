#include "types/digest.h"

#include <string.h>

#include "base/hash.h"
#include "types/system.h"

void digest_u64(struct digest *digest, uint64_t number)
{
    digest->state = hash_u64(digest->state * UINT64_C(0x9E3779B97F4A7C15) + number + 1);
}

void digest_bytes(struct digest *digest, const void *data, size_t size)
{
    digest_u64(digest, size);
    digest_u64(digest, size ? hash_bytes(data, size) : 0);
}

void digest_text(struct digest *digest, const char *text)
{
    digest_u64(digest, text != NULL);
    if (text)
        digest_bytes(digest, text, strlen(text));
}

/* The mailbox's capacity and overflow are live settings (design: what a changed spec does) and stay out. */
static void digest_child(struct digest *digest, const struct child_spec *child)
{
    digest_text(digest, child->name);
    digest_text(digest, child->under);
    digest_text(digest, child->behavior_c);
    digest_text(digest, child->behavior_python);
    digest_bytes(digest, child->arguments, child->arguments_size);
    digest_u64(digest, (uint64_t)child->restart);
    digest_u64(digest, (uint64_t)child->shutdown_ms);
    digest_u64(digest, (uint64_t)child->isolation);
    digest_u64(digest, child->is_supervisor);
    digest_u64(digest, (uint64_t)child->supervisor.strategy);
    digest_u64(digest, child->supervisor.intensity.restarts);
    digest_u64(digest, (uint64_t)child->supervisor.intensity.period_ms);
    if (child->supervisor.backoff.initial_ms > 0) { /* came later: the digests of those without stay */
        digest_u64(digest, (uint64_t)child->supervisor.backoff.initial_ms);
        digest_u64(digest, (uint64_t)child->supervisor.backoff.max_ms);
    }
}

void digest_entry(struct digest *digest, const struct entry_spec *entry)
{
    digest_child(digest, &entry->root);
    digest_u64(digest, entry->children.count);
    vec_for_each (child, &entry->children)
        digest_child(digest, child);
    digest_u64(digest, entry->keyed.is_keyed);
    digest_u64(digest, entry->keyed.shards);
    digest_u64(digest, entry->state.is_durable);
    digest_u64(digest, entry->state.snapshot_every);
}
