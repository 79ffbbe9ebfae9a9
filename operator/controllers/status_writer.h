/* controllers/status_writer.h: a system's status and its ActorPlacement objects, written when they changed,
 * when its system says so.
 *
 * Counters that move with every message (mailbox depths, memory, ...) do not cause a write; they go along
 * with the next one. Owner: a system. Thread: one at a time; status_writer_work blocks. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "api/object_owner.h"

struct err;
struct json;
struct kube_client;
struct placement_objects;
struct status;

struct status_writer {
    struct kube_client *client;
    struct object_owner owner;
    bool has_past;                        /* an earlier leader may have written, until that was read */
    struct json *past;                    /* of what it wrote; see api/status_past.h; NULL: nothing */
    struct placement_objects *placements; /* NULL before the first write of them */
    uint64_t written;                     /* hash of what was written last; 0: nothing yet */
    struct json *conditions;              /* as the object has them; NULL: none */
};

/* has_past: the object has a status, so what is there is read before the first write. */
void status_writer_init(struct status_writer *writer, struct kube_client *client,
    const struct object_owner *owner, bool has_past);
void status_writer_done(struct status_writer *writer);

/* Writes what differs. version: what is read is not older. */
int status_writer_work(
    struct status_writer *writer, const struct status *status, uint64_t version, struct err *err);
