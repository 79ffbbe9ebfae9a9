/* How a choice becomes a struct placement_explanation. Private to this module. */
#ifndef PLACEMENT_EXPLANATION_H
#define PLACEMENT_EXPLANATION_H

#include "placement/board.h"

struct explained_node {
    size_t node;
    unsigned failed;
    int32_t scores[SCORE_COUNT];
    int32_t total;
};

/* Zeroed but for board and unit at the start. */
struct explainer {
    const struct placement_board *board;
    const struct unit_spec *unit;
    VEC(struct explained_node) rows;
};

void explainer_add(
    struct explainer *explainer, size_t node, unsigned failed, const int32_t *scores, int32_t total);
/* Fills the explanation with the best candidates, and releases the explainer. */
void explainer_finish(
    struct explainer *explainer, size_t chosen, struct placement_explanation *ret_explanation);

#endif
