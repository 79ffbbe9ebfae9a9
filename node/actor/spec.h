/* Deep copies of what a unit is. */
#ifndef ACTOR_SPEC_H
#define ACTOR_SPEC_H

#include "actor/system.h"

/* Fills *copy, whose memory is the caller's. */
void spec_copy(struct actor_unit_spec *copy, const struct actor_unit_spec *spec);
/* Frees what a copy points to. Accepts a zeroed one. */
void spec_done(struct actor_unit_spec *copy);

#endif
