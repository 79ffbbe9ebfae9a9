/* Where all units of a spec would go on fresh nodes, without starting anything: `histrio run --dry-run`, and
 * the check that a placement is possible at all. Pure. */
#ifndef PLACEMENT_DRY_H
#define PLACEMENT_DRY_H

#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"
#include "placement/placement.h"
#include "types/unit.h"

struct json;
struct system_spec;

struct dry_placement {
    struct unit_list units;
    VEC(struct placement_explanation)
    rows;              /* one a unit, in the order of the units; chosen NULL: impossible */
    size_t impossible; /* how many of them */
};

/* On node_count nodes named "<system>-nodes-<first_serial + i>", index i, each its own KubeNode. */
void placement_dry(
    struct system_spec *spec, uint32_t node_count, uint64_t first_serial, struct dry_placement *ret_result);
void dry_placement_done(struct dry_placement *result);
/* {"units":[explanation, ...]}; the caller frees it. */
struct json *dry_placement_to_json(const struct dry_placement *result);

#endif
