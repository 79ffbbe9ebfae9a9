/* sim_runtime SEEDS FIRST [MUTANT] | sim_runtime --seeds FILE: plays the runtime in random worlds, one for
 * each seed.
 *
 * Without a mutant every seed must hold all rules (world.h); the first that does not is printed with how to
 * play it again. With a mutant (1 broken FIFO, 2 lost wake-up, 3 restart window, 4 double DOWN, 5 lost reply)
 * one of the seeds must break a rule: a test of this test. The file has a seed a line: those that once found
 * something. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "scheduler.h"
#include "world.h"

static char violation[512];

/* Returns what happened, as a number. violation is set or "". */
static uint64_t play(uint64_t seed, enum actor_mutant mutant)
{
    struct err err = {0};
    world_begin();
    world.node_count = seed % 3 == 0 ? 2 : 1;
    sim_begin(&(struct sim_config){.seed = seed,
        .node_count = world.node_count,
        .worker_count = 1 + (unsigned)(seed % 4),
        .mutant = mutant,
        .events = {.exited = world_on_exited, .unit_changed = world_on_unit},
        .outbound = {.send = network_send, .signal = network_signal},
        .network = network});
    for (unsigned node = 0; node < world.node_count; node++) {
        if (actor_system_add_library(sim_system(node), &actors_library, &err) < 0)
            sim_violation("%s", err.text);
    }
    sim_run(world_drive, NULL);
    const char *violated = sim_violated();
    (void)snprintf(violation, sizeof(violation), "%s", violated ? violated : "");
    uint64_t hash = world.hash ^ sim_steps();
    sim_end();
    world_end();
    return hash;
}

/* The same seed must do the same, or no failure could be looked at again. */
static int play_checked(uint64_t seed)
{
    uint64_t first = play(seed, MUTANT_NONE);
    if (violation[0] != '\0') {
        (void)printf("seed %llu: %s\nagain: sim_runtime 1 %llu\n", (unsigned long long)seed, violation,
            (unsigned long long)seed);
        return -1;
    }
    if (seed % 64 == 0 && play(seed, MUTANT_NONE) != first) {
        (void)printf("seed %llu: not the same twice\n", (unsigned long long)seed);
        return -1;
    }
    return 0;
}

static int play_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[128];
    if (!file) {
        (void)fprintf(stderr, "sim_runtime: cannot read %s\n", path);
        return 2;
    }
    int failed = 0;
    while (fgets(line, sizeof(line), file)) {
        if (line[0] >= '0' && line[0] <= '9' && play_checked(strtoull(line, NULL, 10)) < 0)
            failed++;
    }
    (void)fclose(file); /* only read */
    return failed > 0;
}

static int play_mutant(uint64_t count, uint64_t first, enum actor_mutant mutant)
{
    for (uint64_t seed = first; seed < first + count; seed++) {
        (void)play(seed, mutant);
        if (violation[0] != '\0') {
            (void)printf(
                "mutant %d is caught by seed %llu: %s\n", (int)mutant, (unsigned long long)seed, violation);
            return 0;
        }
    }
    (void)printf("mutant %d was not caught\n", (int)mutant);
    return 1;
}

int main(int argc, char **argv)
{
    log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_ERROR); /* dead letters are normal here */
    world_intern_names();
    if (argc == 3 && strcmp(argv[1], "--seeds") == 0)
        return play_file(argv[2]);
    if (argc != 3 && argc != 4) {
        (void)fprintf(stderr, "sim_runtime: SEEDS FIRST [MUTANT], or --seeds FILE\n");
        return 2;
    }
    uint64_t count = strtoull(argv[1], NULL, 10), first = strtoull(argv[2], NULL, 10);
    if (argc == 4)
        return play_mutant(count, first, (enum actor_mutant)strtoul(argv[3], NULL, 10));
    for (uint64_t seed = first; seed < first + count; seed++) {
        if (play_checked(seed) < 0)
            return 1;
    }
    (void)printf(
        "%llu seeds from %llu: all rules hold\n", (unsigned long long)count, (unsigned long long)first);
    return 0;
}
