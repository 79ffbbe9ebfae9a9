/* What a message between hosted actors (actor/hosted.h) holds beside its bytes, such as memory that processes
 * share. It stays with the message wherever that goes on this node: into mailboxes, out of them and back, and
 * goes with it. Who is not hosted here gets the bytes themselves, if a message holds so many.
 *
 * Thread: the worker of the hosted actors, which such messages never leave; so references are no atomics. */
#ifndef ACTOR_ATTACHMENT_H
#define ACTOR_ATTACHMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str;

struct attachment {
    uint32_t references;
    void (*free)(struct attachment *attachment);
    /* Appends the value with what is attached in it; false: out has no room for that. */
    bool (*put_inline)(const struct attachment *attachment, const void *value, size_t size, struct str *out);
};

static inline struct attachment *attachment_ref(struct attachment *attachment)
{
    if (attachment)
        attachment->references++;
    return attachment;
}

static inline void attachment_unref(struct attachment *attachment)
{
    if (attachment && --attachment->references == 0)
        attachment->free(attachment);
}

#endif
