/* Placement: which node takes a unit, and why. Pure: a board holds the nodes and who is where; choosing runs
 * the filters, scores what is left, and takes the best; ties go to the place where the unit was, then to the
 * smallest hash of (unit, node), so that equal questions get equal answers everywhere.
 *
 * Filters: Ready, Cordoned, Leaving, Capacity, Pin, KubeNodeSelector, ColocateWith, AntiAffinity (both
 * directions). Scores, each 0 to 100 times its weight: Asked (a move asks for that node), Outdated (the node
 * will be replaced soon: negative), Spread (few units of the entry in the domain; for Pack the fullest node),
 * Balance (few units on the node), Load (idle), Present (where it was), Failed (where it failed last:
 * negative). Asked counts more than Outdated, and that more than all others together.
 *
 * Owner: a board copies names and labels of nodes; units are borrowed from their unit_list, which must live
 * as long. Thread: one. */
#ifndef PLACEMENT_PLACEMENT_H
#define PLACEMENT_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"

struct json;
struct label_list;
struct str;
struct unit_spec;
struct placement_board;

/* A node as placement sees it; borrowed for the call. */
struct placement_node {
    const char *name;
    uint32_t index;                       /* its place among the nodes of the system: 0 to replicas - 1 */
    const char *kube_node;                /* NULL or "": the node counts as a KubeNode of its own */
    const char *zone;                     /* NULL or "": none */
    const struct label_list *labels;      /* of the node, for pin; NULL: only the built-in ones */
    const struct label_list *kube_labels; /* of its KubeNode, for kubeNodeSelector; NULL: none */
    bool is_ready;
    bool is_cordoned; /* takes no more units */
    bool is_leaving;  /* the same, and its units are to go */
    bool is_outdated;
    uint32_t capacity_units; /* 0: any number */
    uint32_t busy_permille;
};

enum placement_filter {
    FILTER_READY = 1 << 0,
    FILTER_CORDONED = 1 << 1,
    FILTER_CAPACITY = 1 << 2,
    FILTER_PIN = 1 << 3,
    FILTER_KUBE_NODE_SELECTOR = 1 << 4,
    FILTER_COLOCATE_WITH = 1 << 5,
    FILTER_ANTI_AFFINITY = 1 << 6,
    FILTER_LEAVING = 1 << 7,
};

enum placement_score {
    SCORE_ASKED,
    SCORE_OUTDATED,
    SCORE_SPREAD,
    SCORE_BALANCE,
    SCORE_LOAD,
    SCORE_PRESENT,
    SCORE_FAILED,
    SCORE_COUNT
};
extern const char *const placement_score_names[]; /* ended by NULL */

struct placement_candidate {
    char *node;
    unsigned failed_filters; /* of enum placement_filter; 0: it was scored */
    int32_t scores[SCORE_COUNT];
    int32_t total;
    bool is_chosen;
};

/* At most so many candidates are kept in an explanation: the best ones and the first that failed. */
enum { PLACEMENT_CANDIDATES_MAX = 32 };

struct placement_explanation {
    char *unit;
    char *chosen; /* NULL: nobody */
    char *reason; /* one sentence */
    VEC(struct placement_candidate) candidates;
    size_t candidates_left_out;
    int64_t at_wall_ms; /* set by the caller; 0: not set */
    char *rule;         /* set by the caller: Initial, Proof, ...; NULL: not set */
};

/* What is known of the unit's past, all optional. */
struct placement_hint {
    const char *present_node; /* where it is or was: wins ties, and a little more */
    const char *failed_node;  /* where it failed last: avoided when another is as good */
    const char *asked_node;   /* where it is asked to go: taken if it passes the filters */
};

struct placement_board *placement_board_new(void);
void placement_board_free(struct placement_board *board);
/* The index that names the node in the calls below. */
size_t placement_board_add_node(struct placement_board *board, const struct placement_node *node);
size_t placement_board_node_count(const struct placement_board *board);
/* The unit is, or will be, on that node. A unit stands in one place; it must not be on the board yet. */
void placement_board_put(struct placement_board *board, const struct unit_spec *unit, size_t node);
void placement_board_remove(struct placement_board *board, const struct unit_spec *unit);
/* Units on the node. */
uint32_t placement_board_count(const struct placement_board *board, size_t node);

#define PLACEMENT_NOWHERE SIZE_MAX
/* The best node for a unit that is not on the board; PLACEMENT_NOWHERE when every node failed a filter.
 * ret_explanation may be NULL; else it is filled (a zeroed or finished struct). Does not put. */
size_t placement_choose(const struct placement_board *board, const struct unit_spec *unit,
    const struct placement_hint *hint, struct placement_explanation *ret_explanation);
/* The filters that the unit, which is on the board, breaks where it is (FILTER_READY, FILTER_CORDONED and
 * FILTER_CAPACITY aside); 0: it may stay. */
unsigned placement_violations(const struct placement_board *board, const struct unit_spec *unit);

/* The filters that keep the unit, which is on the board or not, from that node; 0: it may go there. */
unsigned placement_filters(const struct placement_board *board, const struct unit_spec *unit, size_t node);

void placement_explanation_done(struct placement_explanation *explanation);
/* A tree that the caller frees. */
struct json *placement_explanation_to_json(const struct placement_explanation *explanation);
/* Appends "Pin, Capacity". */
void placement_filters_append(unsigned filters, struct str *out);

#endif
