/* Lines out of a stream of pieces: a watch is one JSON text a line. Only the tail that is no whole line yet
 * is kept, and a line that came in one piece is not copied. Thread: one at a time. */
#ifndef KUBE_FRAME_H
#define KUBE_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct err;

struct kube_frame {
    struct str tail;
};

/* A line of more than line_bytes_max bytes is refused. */
void kube_frame_init(struct kube_frame *frame, size_t line_bytes_max);
void kube_frame_done(struct kube_frame *frame);
/* Forgets the tail. */
void kube_frame_clear(struct kube_frame *frame);

/* Takes a piece apart: line for each one that ends in it, without its end ("\n" or "\r\n"); empty ones are
 * passed over. false from line ends the work; what follows is dropped, and kube_frame_feed returns 0.
 * ERR_LIMIT for a line that is too long. The stream's end is no end of a line: what is left then was cut off.
 */
int kube_frame_feed(struct kube_frame *frame, const char *data, size_t size,
    bool (*line)(const char *text, size_t size, void *ctx), void *ctx, struct err *err);

#endif
