/* One event of a watch, read from its line. Pure; any thread. */
#ifndef KUBE_WATCH_H
#define KUBE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kube/split.h"
#include "kube/status.h"

struct err;
struct json;

enum kube_watch_type {
    KUBE_WATCH_OTHER, /* a type that is not known here: to be passed over */
    KUBE_WATCH_ADDED,
    KUBE_WATCH_MODIFIED,
    KUBE_WATCH_DELETED,
    KUBE_WATCH_BOOKMARK,
    KUBE_WATCH_ERROR, /* the watch is over, status says why */
};

struct kube_watch_event {
    enum kube_watch_type type;
    const struct json *object; /* never NULL; part of tree */
    uint64_t version;          /* of the object; above 0 but for OTHER and ERROR */
    bool ends_initial;         /* a BOOKMARK behind the initial events of a stream */
    struct kube_status status; /* of an ERROR */
    struct json *tree;         /* private */
};

/* ERR_INVALID when the line is no event, or an object that a store could hold lacks its name, or its version
 * is no number. */
int kube_watch_event_read(const char *text, size_t size, struct kube_watch_event *ret_event, struct err *err);
/* Of an ADDED event: which object in which state it tells of. Raw pieces of the line. */
struct kube_watch_head {
    struct kube_part namespace; /* value NULL: none was seen */
    struct kube_part name;
    struct kube_part uid;
    uint64_t version;
};

/* Reads only up to these, and makes no tree. false: it is another event, or is to be read as a whole to be
 * understood. */
bool kube_watch_head_read(const char *text, size_t size, struct kube_watch_head *ret_head);

/* Accepts a zeroed event. */
void kube_watch_event_done(struct kube_watch_event *event);

#endif
