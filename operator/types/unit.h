/* Units: what is placed as a whole on one node. "ledger" (an entry), "tellers.0" (one of its replicas, when
 * the manifest gives replicas) or "account.17" (one shard of a keyed entry).
 *
 * Owner: a unit_list keeps a reference of its spec, and its units point into that. Pure. */
#ifndef TYPES_UNIT_H
#define TYPES_UNIT_H

#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "base/vec.h"

struct entry_spec;
struct system_spec;

struct unit_spec {
    char *name;
    const struct entry_spec *entry; /* root and children: the same for all units of an entry */
    uint32_t replica;               /* or the shard */
    /* Of all that a running unit must be restarted for. It is the `generation` that goes to the nodes and
     * comes back in inventories, so that a new leader sees who runs an older form. Never 0, never negative.
     */
    int64_t generation;
};

struct unit_list {
    struct system_spec *spec;
    VEC(struct unit_spec) units; /* in the order of the manifest, replicas in theirs */
    struct map by_name;          /* name -> struct unit_spec * */
};

/* All units of the spec, of which it takes a reference. At most LIMIT_UNITS (the manifest's check). */
void units_from_spec(struct system_spec *spec, struct unit_list *ret_list);
void unit_list_done(struct unit_list *list);
/* NULL when there is none. */
const struct unit_spec *unit_list_find(const struct unit_list *list, const char *name);
size_t units_count(const struct system_spec *spec);

#endif
