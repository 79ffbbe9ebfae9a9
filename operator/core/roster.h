/* Rosters (R10, R7, R9). Private to this module. */
#ifndef CORE_ROSTER_H
#define CORE_ROSTER_H

#include <stdbool.h>

struct core;
struct node;

/* Writes the first roster, commits the present one, begins the next change. */
void roster_decide(struct core *core);
/* R9: every roster node has reported in this term, or is dead. */
bool roster_has_reported(const struct core *core);
/* The node's uid is in no roster that may still be in force. */
bool roster_is_without(const struct core *core, const struct node *node);

#endif
