/* operator_control/probe.h: does somebody listen at an address? A connect() that says nothing: it costs
 * microseconds, where a dial of gRPC costs milliseconds of CPU for its certificates and keys whether somebody
 * is there or not. So nodes that are away, or not there yet, cost next to nothing. Private to this module.
 *
 * Owner and thread: a session. */
#pragma once

#include <stdbool.h>

enum probe_verdict {
    PROBE_PENDING, /* look again */
    PROBE_LISTENS, /* also for addresses that only gRPC understands: it has the better error text */
    PROBE_REFUSED, /* the machine answers, the process is not there (yet) */
    PROBE_NOBODY,
};

struct probe {
    int fd; /* 0: none under way; probes never get the descriptor 0, which a process has from birth */
};

/* Begins, or looks at what was begun; anything but PROBE_PENDING ends it. Never blocks. */
enum probe_verdict probe_look(struct probe *probe, const char *address);
void probe_end(struct probe *probe);
