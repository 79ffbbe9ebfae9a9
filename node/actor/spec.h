/* Deep copies of what a unit is. */
#ifndef ACTOR_SPEC_H
#define ACTOR_SPEC_H

#include "actor/system.h"

/* With all that it points to, in one piece of memory: free() ends it. Absent texts are "", but for the
 * behavior of a supervisor. */
struct actor_unit_spec *spec_dup(const struct actor_unit_spec *spec);

#endif
