/* What puppets do with large data. */
#ifndef PUPPET_SHARED_H
#define PUPPET_SHARED_H

#include "host/frame.h"

#include <stdbool.h>
#include <sys/types.h>

/* As recv(); the descriptor that came is kept for the next frame that has one. */
ssize_t shared_receive(int socket, void *data, size_t size);
/* The text in the file that came with the frame, or that stands in its payload behind a "=". */
const char *shared_text(const struct frame *frame, const uint8_t *payload);
/* Sends a frame with a file that has the text. */
void shared_send(int socket, struct frame frame, const char *text);
/* The same wrong in some way; false: it is no such way. */
bool shared_hostile(int socket, struct frame frame, const char *way);

#endif
