/* node_control/unit_spec.h: a unit's specification with all that it points to, on the heap, and the checks
 * that no input from outside gets around. Belongs to its creator. */
#pragma once

#include "actor/system.h"

struct err;

struct unit_spec {
    struct actor_unit_spec spec; /* everything in it is owned by this struct */
};

/* A copy of everything. */
struct unit_spec *unit_spec_dup(const struct actor_unit_spec *spec);
void unit_spec_free(void *spec);

/* ERR_INVALID or ERR_LIMIT with which child and what is wrong: names, counts, arguments that are not msgpack,
 * a child under a later or unknown one or under a worker. Texts are not NULL except `behavior`. */
int unit_spec_check(const struct actor_unit_spec *spec, struct err *err);
