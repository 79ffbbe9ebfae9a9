/* controllers/status_writer.h: a system's status and its ActorPlacement objects, written when they changed,
 * at most once a second and object.
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
    struct placement_objects *placements; /* NULL before the first write of them */
    uint64_t written;                     /* hash of what was written last; 0: nothing yet */
    struct json *conditions;              /* as the object has them; NULL: none */
    int64_t due_ms;                       /* when it may write again, or try again */
    bool is_changed;
};

/* conditions: of the cached object, may be NULL: those that keep their value keep their time. */
void status_writer_init(struct status_writer *writer, struct kube_client *client,
    const struct object_owner *owner, const struct json *conditions);
void status_writer_done(struct status_writer *writer);

/* Something of it changed. */
void status_writer_changed(struct status_writer *writer);

/* Writes what differs. A failure is to be tried again at due_ms. */
int status_writer_work(
    struct status_writer *writer, const struct status *status, int64_t now_ms, struct err *err);
