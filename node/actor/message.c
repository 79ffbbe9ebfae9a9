#include "actor/message.h"

struct message *message_new_outside(size_t size)
{
    struct message *message = xmalloc(offsetof(struct message, data) + size + 1); /* texts get a NUL */
    memset(message, 0, offsetof(struct message, data));
    message->size = (uint32_t)size;
    message->class = SLAB_HEAP;
    message->owner = MESSAGE_OUTSIDE;
    return message;
}
