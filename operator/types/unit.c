#include "types/unit.h"

#include "base/mem.h"
#include "types/digest.h"
#include "types/system.h"

static int64_t unit_generation(const struct entry_spec *entry)
{
    struct digest digest = {0};
    digest_entry(&digest, entry);
    int64_t generation = (int64_t)(digest.state & INT64_MAX);
    return generation ? generation : 1;
}

static uint32_t entry_unit_count(const struct entry_spec *entry)
{
    return entry->keyed.is_keyed ? entry->keyed.shards : entry->replicas;
}

size_t units_count(const struct system_spec *spec)
{
    size_t count = 0;
    vec_for_each (entry, &spec->entries)
        count += entry_unit_count(entry);
    return count;
}

void units_from_spec(struct system_spec *spec, struct unit_list *ret_list)
{
    struct unit_list list = {0};
    list.spec = system_spec_ref(spec);
    vec_reserve(&list.units, units_count(spec));
    vec_for_each (entry, &spec->entries) {
        int64_t generation = unit_generation(entry);
        bool is_numbered = entry->has_replicas || entry->keyed.is_keyed;
        for (uint32_t replica = 0; replica < entry_unit_count(entry); replica++) {
            struct unit_spec *unit = vec_push_new(&list.units);
            unit->name =
                is_numbered ? xasprintf("%s.%u", entry->root.name, replica) : xstrdup(entry->root.name);
            unit->entry = entry;
            unit->replica = replica;
            unit->generation = generation;
        }
    }
    vec_for_each (unit, &list.units)
        (void)map_put(&list.by_name, unit->name, unit);
    *ret_list = list;
}

void unit_list_done(struct unit_list *list)
{
    map_done(&list->by_name, NULL);
    vec_for_each (unit, &list->units)
        free(unit->name);
    vec_done(&list->units);
    system_spec_unref(list->spec);
    list->spec = NULL;
}

const struct unit_spec *unit_list_find(const struct unit_list *list, const char *name)
{
    return map_get(&list->by_name, name);
}
