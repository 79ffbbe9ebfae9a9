#include "actor/message.h"

static struct message *new_on_heap(size_t size, size_t behind)
{
    struct message *message = xmalloc(offsetof(struct message, data) + size + behind);
    memset(message, 0, offsetof(struct message, data));
    message->size = (uint32_t)size;
    message->class = SLAB_HEAP;
    message->owner = MESSAGE_OUTSIDE;
    return message;
}

struct message *message_new_outside(size_t size)
{
    return new_on_heap(size, 1); /* texts get a NUL */
}

struct message *message_new_attached(size_t size, struct attachment *attachment)
{
    struct message *message = new_on_heap(size, sizeof(struct attachment *));
    message->flags = MESSAGE_ATTACHED;
    (void)attachment_ref(attachment);
    memcpy(message->data + size, &attachment, sizeof(struct attachment *));
    return message;
}

struct attachment *message_attachment(const struct message *message)
{
    struct attachment *attachment = NULL;
    if ((message->flags & MESSAGE_ATTACHED) != 0)
        memcpy(&attachment, message->data + message->size, sizeof(struct attachment *));
    return attachment;
}

void message_set_deadline(struct message *message, int64_t deadline_ns)
{
    message->flags |= MESSAGE_DEADLINE;
    memcpy(message->data + message->size, &deadline_ns, sizeof(deadline_ns));
}

int64_t message_deadline_ns(const struct message *message)
{
    int64_t deadline_ns = INT64_MAX;
    if ((message->flags & MESSAGE_DEADLINE) != 0)
        memcpy(&deadline_ns, message->data + message->size, sizeof(deadline_ns));
    return deadline_ns;
}

/* Where the trace is, or would be. */
static size_t trace_offset(const struct message *message)
{
    return message->size + ((message->flags & MESSAGE_DEADLINE) != 0 ? MESSAGE_DEADLINE_BYTES : 0u);
}

void message_set_trace(struct message *message, const struct trace_context *trace)
{
    message->flags |= MESSAGE_TRACED;
    memcpy(message->data + trace_offset(message), trace, sizeof(*trace));
}

const struct trace_context *message_trace(const struct message *message)
{
    if ((message->flags & MESSAGE_TRACED) == 0)
        return NULL;
    return (const struct trace_context *)(message->data + trace_offset(message)); /* bytes only */
}

void message_free_heap(struct message *message)
{
    attachment_unref(message_attachment(message));
    free(message);
}
