/* The ActorPlacement objects of a system: where each actor is, in rows, at most 200 an object ("bank-0",
 * "bank-1", ...). A unit keeps its object for as long as its rows fit, so that one changed row changes one
 * object. What changes with every message (mailbox depths) is not in them.
 *
 * Use, at most once a second and system:
 *     placement_objects_update(objects, &status);
 *     for (number = 0; number < placement_objects_count(objects); number++)
 *         if (placement_objects_is_changed(objects, number)) {
 *             body = placement_objects_body(objects, number, &status);
 *             NULL: delete the object; else apply it; when that worked:
 *             placement_objects_written(objects, number);
 *         }
 *
 * Owner: created and freed by the shell of one system. Thread: one at a time. */
#ifndef API_PLACEMENT_OBJECTS_H
#define API_PLACEMENT_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>

struct json;
struct object_owner;
struct placement_objects;
struct status;

enum { PLACEMENT_ROWS_MAX = 200 };

/* Texts of the owner are copied. */
struct placement_objects *placement_objects_new(const struct object_owner *owner);
void placement_objects_free(struct placement_objects *objects);

/* An object that exists, read by a new leader before the first update: its units stay in it, and it is not
 * written again when nothing changed. What is not one of ours is ignored. */
void placement_objects_load(struct placement_objects *objects, const struct json *object);

/* Takes over which rows there are. */
void placement_objects_update(struct placement_objects *objects, const struct status *status);

/* Numbers are 0 to count - 1; those without rows are there only until their objects are deleted. */
size_t placement_objects_count(const struct placement_objects *objects);
/* Does the object differ from what was written last? */
bool placement_objects_is_changed(const struct placement_objects *objects, size_t number);
/* The whole object, which the caller frees; NULL when it has no rows and is to be deleted. status: that of
 * the last update. */
struct json *placement_objects_body(
    const struct placement_objects *objects, size_t number, const struct status *status);
/* "bank-17"; the caller frees it. */
char *placement_objects_name(const struct placement_objects *objects, size_t number);
/* The body was written (or the object deleted). */
void placement_objects_written(struct placement_objects *objects, size_t number);

#endif
