/* What forbids a node to a unit. Private to this module. */
#ifndef PLACEMENT_FILTER_H
#define PLACEMENT_FILTER_H

#include "placement/board.h"

/* Every filter (enum placement_filter) that the node fails for the unit, which is not on the board. 0: it may
 * go there. */
unsigned filter_node(const struct placement_board *board, const struct unit_spec *unit, size_t node);

#endif
