#include "base/mutex.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

/* What the running thread holds, in the order in which it was taken. */
enum { HELD_MAX = 16 };
static _Thread_local const struct mutex *held[HELD_MAX];
static _Thread_local int held_count;

static void held_push(const struct mutex *mutex)
{
    if (held_count > 0 && held[held_count - 1]->rank >= mutex->rank) {
        (void)fprintf(stderr, "lock order: \"%s\" (rank %d) wanted while \"%s\" (rank %d) is held\n",
            mutex->name, mutex->rank, held[held_count - 1]->name, held[held_count - 1]->rank);
        abort();
    }
    assert(held_count < HELD_MAX);
    held[held_count++] = mutex;
}

static void held_remove(const struct mutex *mutex)
{
    int i = held_count - 1;
    while (i >= 0 && held[i] != mutex)
        i--;
    assert(i >= 0); /* unlocked by a thread that does not hold it */
    for (; i < held_count - 1; i++)
        held[i] = held[i + 1];
    held_count--;
}

void mutex_init(struct mutex *mutex, int rank, const char *name)
{
    assert(rank > 0);
    int failed = pthread_mutex_init(&mutex->handle, NULL);
    assert(!failed);
    (void)failed; /* cannot fail for a default mutex on Linux */
    mutex->rank = rank;
    mutex->name = name;
}

void mutex_done(struct mutex *mutex)
{
    int failed = pthread_mutex_destroy(&mutex->handle);
    assert(!failed);
    (void)failed; /* checked above */
}

NO_THREAD_SAFETY_ANALYSIS void mutex_lock(struct mutex *mutex)
{
    held_push(mutex); /* before waiting: a deadlock is reported and not entered */
    int failed = pthread_mutex_lock(&mutex->handle);
    assert(!failed);
    (void)failed; /* checked above */
}

NO_THREAD_SAFETY_ANALYSIS void mutex_unlock(struct mutex *mutex)
{
    held_remove(mutex);
    int failed = pthread_mutex_unlock(&mutex->handle);
    assert(!failed);
    (void)failed; /* checked above */
}

bool mutex_is_held(const struct mutex *mutex)
{
    for (int i = 0; i < held_count; i++) {
        if (held[i] == mutex)
            return true;
    }
    return false;
}

void condition_init(struct condition *condition)
{
    pthread_condattr_t attributes;
    int failed = pthread_condattr_init(&attributes);
    failed |= pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    failed |= pthread_cond_init(&condition->handle, &attributes);
    failed |= pthread_condattr_destroy(&attributes);
    assert(!failed);
    (void)failed; /* none of them can fail on Linux */
}

void condition_done(struct condition *condition)
{
    int failed = pthread_cond_destroy(&condition->handle);
    assert(!failed);
    (void)failed; /* checked above */
}

void condition_signal(struct condition *condition)
{
    (void)pthread_cond_signal(&condition->handle); /* cannot fail */
}

void condition_broadcast(struct condition *condition)
{
    (void)pthread_cond_broadcast(&condition->handle); /* cannot fail */
}

void condition_wait(struct condition *condition, struct mutex *mutex)
{
    assert(mutex_is_held(mutex));
    int failed = pthread_cond_wait(&condition->handle, &mutex->handle);
    assert(!failed);
    (void)failed; /* checked above */
}

bool condition_wait_until(struct condition *condition, struct mutex *mutex, int64_t deadline_ns)
{
    assert(mutex_is_held(mutex));
    if (deadline_ns < 0)
        deadline_ns = 0;
    struct timespec deadline = {
        .tv_sec = (time_t)(deadline_ns / NS_PER_S), .tv_nsec = (long)(deadline_ns % NS_PER_S)};
    int result = pthread_cond_timedwait(&condition->handle, &mutex->handle, &deadline);
    assert(result == 0 || result == ETIMEDOUT);
    return result == 0;
}
