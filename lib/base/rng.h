/* Random numbers from a seed (xoshiro256**): the same seed gives the same sequence on every machine. Not for
 * secrets: those come from rng_system_bytes. Thread: one at a time. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t state[4];
};

void rng_seed(struct rng *rng, uint64_t seed);
/* A seed from the operating system, which is returned so that it can be printed. */
uint64_t rng_seed_from_system(struct rng *rng);

uint64_t rng_u64(struct rng *rng);
/* 0 to bound - 1, without bias; bound is not 0. */
uint64_t rng_below(struct rng *rng, uint64_t bound);
/* From minimum to maximum, both included. */
int64_t rng_between(struct rng *rng, int64_t minimum, int64_t maximum);
/* 0 included to 1 excluded. */
double rng_double(struct rng *rng);
/* True once in `in` calls on average. */
bool rng_one_in(struct rng *rng, uint64_t in);

/* Unpredictable bytes from the operating system, for uids and tokens. */
void rng_system_bytes(void *buffer, size_t size);

#endif
