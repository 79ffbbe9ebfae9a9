/* node_control/ranks.h: the ranks of this module's locks (docs/locks.md). Both are leaves: nothing is taken
 * under them. */
#pragma once

enum { RANK_NODE_CONTROL_EXITS = 900, RANK_NODE_CONTROL_CHANGES = 901 };
