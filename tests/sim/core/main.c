/* sim_core [SEEDS] [FIRST] [MUTANT]: seeded histories of the operator core. Without a mutant every seed must
 * pass; a seed that fails is printed, and `sim_core 1 SEED` runs it again with a trace. With one (a number of
 * enum core_mutant) some seed must fail: a broken rule that nobody notices is a hole in the checks. */
#include <stdio.h>

#include "base/mem.h"
#include "base/str.h"
#include "core/mutant.h"
#include "sim/core/world.h"

enum core_mutant core_mutant = MUTANT_NONE;

struct counts {
    uint64_t kills, crashes, takeovers, fenced;
};

static bool run_seed(uint64_t seed, bool is_trace, struct counts *counts)
{
    struct world world;
    world_init(&world, seed, is_trace);
    world_run(&world);
    bool is_fine = world.violation[0] == '\0';
    if (!is_fine)
        (void)printf("seed %lu: %s\n", (unsigned long)seed, world.violation);
    counts->kills += world.kills;
    counts->crashes += world.operator_crashes;
    counts->takeovers += world.takeovers;
    counts->fenced += world.fenced;
    world_done(&world);
    return is_fine;
}

static bool read_number(const char *text, uint64_t *ret_number)
{
    return text_to_u64(text, UINT32_MAX, ret_number, NULL) == 0;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 1000;
    uint64_t first = 1;
    uint64_t mutant = MUTANT_NONE;
    uint64_t failed = 0;
    struct counts counts = {0};
    if ((argc > 1 && !read_number(argv[1], &seeds)) || (argc > 2 && !read_number(argv[2], &first)) ||
        (argc > 3 && (!read_number(argv[3], &mutant) || mutant >= MUTANT_COUNT)) || argc > 4) {
        (void)fprintf(stderr, "usage: sim_core [SEEDS] [FIRST] [MUTANT, 1 to %d]\n", MUTANT_COUNT - 1);
        return 2;
    }
    core_mutant = (enum core_mutant)mutant;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        failed += !run_seed(seed, seeds == 1, &counts);
        if (failed && (mutant || failed >= 10))
            break;
    }
    (void)printf(
        "%lu seeds from %lu, mutant %lu: %lu failed (%lu kills, %lu operator crashes, %lu takeovers, %lu "
        "nodes fenced)\n",
        (unsigned long)seeds, (unsigned long)first, (unsigned long)mutant, (unsigned long)failed,
        (unsigned long)counts.kills, (unsigned long)counts.crashes, (unsigned long)counts.takeovers,
        (unsigned long)counts.fenced);
    return mutant ? failed == 0 : failed != 0;
}
