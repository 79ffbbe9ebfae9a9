/* node/termination.h: the file that the kubelet shows as the message of a container that ended: how the last
 * runtime ended, as one JSON object of the keys of an "exited" report. It is empty while a runtime runs, so
 * that a crash that was dealt with long ago is not charged again when the container ends. Thread: the
 * parent's. */
#pragma once

struct err;
struct life_end;

enum { TERMINATION_BYTES_MAX = 4000 }; /* the kubelet takes the last 4,096 bytes: never a part of ours */

/* `path` "": the usual one. It is never made: no such file means that nobody reads it. */
int termination_clear(const char *path, struct err *err);
int termination_write(const char *path, const struct life_end *end, struct err *err);
