/* The board: nodes, and who is where, counted by what filters and scores ask for. Private to this module. */
#ifndef PLACEMENT_BOARD_H
#define PLACEMENT_BOARD_H

#include "base/map.h"
#include "placement/placement.h"
#include "types/system.h"

/* Units in one place: a node, a KubeNode or a zone. */
struct tally {
    struct map by_entry; /* entry name -> how many of its units are here, as a number in the pointer */
    struct map refused;  /* entry name -> how many units here have it in antiAffinity */
    uint32_t units;
};

struct board_node {
    char *name;
    struct label_list labels; /* with the built-in ones */
    struct label_list kube_labels;
    bool is_ready;
    bool is_cordoned;
    bool is_leaving;
    bool is_outdated;
    uint32_t capacity_units;
    uint32_t busy_permille;
    size_t kube_node; /* index of the tally */
    size_t zone;
    struct tally tally;
};

struct placement_board {
    VEC(struct board_node) nodes;
    VEC(struct tally) kube_nodes;
    VEC(struct tally) zones;
    struct map kube_node_names; /* name -> index of its tally + 1 */
    struct map zone_names;
    struct map places; /* unit name -> index of its node + 1 */
};

uint32_t tally_of_entry(const struct tally *tally, const char *entry);
uint32_t tally_refusals(const struct tally *tally, const char *entry);
/* The node of the unit of that name; PLACEMENT_NOWHERE when it is not on the board. */
size_t board_place_of(const struct placement_board *board, const char *unit);
/* Does any unit of the entry stand on the board? */
bool board_has_entry(const struct placement_board *board, const char *entry);

#endif
