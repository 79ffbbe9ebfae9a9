/* Mutexes with a rank, and condition variables that wait until a deadline.
 *
 * A thread takes mutexes in rising rank, and never two of one rank at once: no cycle of waiting threads can
 * come about. Each mutex_lock checks that against what the thread holds and aborts with both names when it is
 * violated. The ranks of the project are listed in docs/locks.md. With clang 19 the annotations let the
 * compiler check what a lock guards; elsewhere they are empty. */
#ifndef BASE_MUTEX_H
#define BASE_MUTEX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__clang__) && __clang_major__ >= 19
#define THREAD_ANNOTATION(x) __attribute__((x))
#else
#define THREAD_ANNOTATION(x)
#endif
#define CAPABILITY(name) THREAD_ANNOTATION(capability(name))
#define GUARDED_BY(lock) THREAD_ANNOTATION(guarded_by(lock))
#define PT_GUARDED_BY(lock) THREAD_ANNOTATION(pt_guarded_by(lock))
#define REQUIRES(...) THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define RELEASE(...) THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS THREAD_ANNOTATION(no_thread_safety_analysis)

struct CAPABILITY("mutex") mutex {
    pthread_mutex_t handle;
    const char *name;
    int rank;
};

/* name is kept, not copied; rank is above 0. */
void mutex_init(struct mutex *mutex, int rank, const char *name);
/* The mutex is not held by anybody. */
void mutex_done(struct mutex *mutex);
void mutex_lock(struct mutex *mutex) ACQUIRE(mutex);
void mutex_unlock(struct mutex *mutex) RELEASE(mutex);
/* For assertions. */
bool mutex_is_held(const struct mutex *mutex);

struct condition {
    pthread_cond_t handle;
};

void condition_init(struct condition *condition);
void condition_done(struct condition *condition);
void condition_signal(struct condition *condition);
void condition_broadcast(struct condition *condition);
/* Waits for a signal; may also return without one, so the caller checks again in a loop. */
void condition_wait(struct condition *condition, struct mutex *mutex) REQUIRES(mutex);
/* As above, at most until deadline_ns of the system's monotonic clock; false when that has passed. */
bool condition_wait_until(struct condition *condition, struct mutex *mutex, int64_t deadline_ns)
    REQUIRES(mutex);

#endif
