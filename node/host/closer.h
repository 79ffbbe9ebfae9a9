/* Closes descriptors in a thread of its own: the last close of a large file in memory gives its pages back,
 * which takes the kernel milliseconds, and no message of worker 0 is to wait for that. */
#ifndef HOST_CLOSER_H
#define HOST_CLOSER_H

#include "base/mutex.h"
#include "base/vec.h"

struct thread;

struct closer {
    struct mutex lock;
    struct condition changed;
    VEC(int) fds GUARDED_BY(&lock);
    bool is_over GUARDED_BY(&lock);
    struct thread *thread; /* NULL before the first */
};

void closer_init(struct closer *closer);
/* Any time after; one thread at a time. */
void closer_close(struct closer *closer, int fd);
/* Waits until all are closed. */
void closer_done(struct closer *closer);

#endif
