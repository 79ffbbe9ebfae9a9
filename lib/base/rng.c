#include "base/rng.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

/* xoshiro256** of Blackman and Vigna, seeded through splitmix64 as they advise. */

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t value, int bits)
{
    return (value << bits) | (value >> (64 - bits));
}

void rng_seed(struct rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        rng->state[i] = splitmix64(&seed);
}

uint64_t rng_seed_from_system(struct rng *rng)
{
    uint64_t seed;
    rng_system_bytes(&seed, sizeof(seed));
    rng_seed(rng, seed);
    return seed;
}

uint64_t rng_u64(struct rng *rng)
{
    uint64_t *state = rng->state;
    uint64_t result = rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    assert(bound > 0);
    uint64_t biased = -bound % bound; /* 2^64 mod bound: so many values would be drawn once too often */
    uint64_t number;
    do {
        number = rng_u64(rng);
    } while (number < biased); /* each round ends it with a chance of over one half */
    return number % bound;
}

int64_t rng_between(struct rng *rng, int64_t minimum, int64_t maximum)
{
    assert(minimum <= maximum);
    uint64_t width = (uint64_t)maximum - (uint64_t)minimum + 1;
    uint64_t offset = width == 0 ? rng_u64(rng) : rng_below(rng, width);
    return (int64_t)((uint64_t)minimum + offset);
}

double rng_double(struct rng *rng)
{
    return (double)(rng_u64(rng) >> 11) * 0x1.0p-53;
}

bool rng_one_in(struct rng *rng, uint64_t in)
{
    return rng_below(rng, in) == 0;
}

void rng_system_bytes(void *buffer, size_t size)
{
    unsigned char *at = buffer;
    while (size > 0) { /* each call gives something */
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort(); /* a kernel without random numbers: nothing of ours can be trusted there */
        at += got;
        size -= (size_t)got;
    }
}
