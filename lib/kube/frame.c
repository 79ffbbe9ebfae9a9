#include "kube/frame.h"

#include <string.h>

#include "base/err.h"

void kube_frame_init(struct kube_frame *frame, size_t line_bytes_max)
{
    str_init(&frame->tail, line_bytes_max);
}

void kube_frame_done(struct kube_frame *frame)
{
    str_done(&frame->tail);
}

void kube_frame_clear(struct kube_frame *frame)
{
    str_clear(&frame->tail);
}

static bool tell(
    const char *text, size_t size, bool (*line)(const char *text, size_t size, void *ctx), void *ctx)
{
    if (size > 0 && text[size - 1] == '\r')
        size--;
    return size == 0 || line(text, size, ctx);
}

static int check(const struct kube_frame *frame, size_t size, struct err *err)
{
    if (size <= frame->tail.limit)
        return 0;
    return err_set(err, ERR_LIMIT, "a line of more than %zu bytes in a watch", frame->tail.limit);
}

int kube_frame_feed(struct kube_frame *frame, const char *data, size_t size,
    bool (*line)(const char *text, size_t size, void *ctx), void *ctx, struct err *err)
{
    bool goes_on = true;
    while (goes_on && size > 0) { /* each round takes a line, or all that is left */
        const char *end = memchr(data, '\n', size);
        size_t part = end ? (size_t)(end - data) : size;
        if (check(frame, frame->tail.size + part, err) < 0)
            return -1;
        if (!end || frame->tail.size > 0)
            str_append_bytes(&frame->tail, data, part);
        if (!end)
            return 0;
        if (frame->tail.size > 0) {
            goes_on = tell(str_text(&frame->tail), frame->tail.size, line, ctx);
            str_clear(&frame->tail);
        } else {
            goes_on = tell(data, part, line, ctx);
        }
        data += part + 1;
        size -= part + 1;
    }
    return 0;
}
