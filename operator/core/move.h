/* Moves of running units: off nodes that leave, out of places that a changed spec forbids, and onto nodes
 * that were added. A move is a revocation; the unit is placed anew when its node let go of it. Private to
 * this module. */
#ifndef CORE_MOVE_H
#define CORE_MOVE_H

struct core;

void moves_decide(struct core *core);

#endif
