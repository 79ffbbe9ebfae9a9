/* node_control/unit_spec.h: the checks of a unit's specification that no input from outside gets around. */
#pragma once

#include "actor/system.h"

struct err;

/* ERR_INVALID or ERR_LIMIT with which child and what is wrong: names, counts, arguments that are not msgpack,
 * a child under a later or unknown one or under a worker. Texts are not NULL except `behavior`. */
int unit_spec_check(const struct actor_unit_spec *spec, struct err *err);
