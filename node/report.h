/* node/report.h: what the parent tells whoever started it, as JSON lines on a descriptor, without ever
 * waiting for the reader: what does not fit into the descriptor is kept up to a limit, beyond which whole
 * lines are dropped (the next runtime's hello tells the same, later). Owned by the parent's one thread. */
#pragma once

#include "base/str.h"
#include "node_control/life.h"

#include <stdbool.h>
#include <sys/types.h>

struct json;

struct report {
    int fd; /* -1: nobody listens; the caller's */
    struct str pending;
};

void report_init(struct report *report, int fd);
void report_done(struct report *report);

void report_started(struct report *report, uint64_t uid, pid_t pid);
void report_exited(struct report *report, const struct life_end *end);
struct json *report_end_document(const struct life_end *end); /* of an "exited" report; the caller frees it */

bool report_has_pending(const struct report *report);
void report_flush(struct report *report); /* what the descriptor takes now */

/* Call when the descriptor is readable or hung up: true when the other end is closed. Whatever it sent is
 * discarded. */
bool report_is_gone(struct report *report);
