#include "host/closer.h"

#include "base/err.h"
#include "base/thread.h"

#include <unistd.h>

static void run(void *ctx)
{
    struct closer *closer = ctx;
    mutex_lock(&closer->lock);
    for (;;) {
        while (closer->fds.count == 0 && !closer->is_over)
            condition_wait(&closer->changed, &closer->lock);
        if (closer->fds.count == 0)
            break;
        int fd = vec_pop(&closer->fds);
        mutex_unlock(&closer->lock);
        (void)close(fd); /* nothing is written back */
        mutex_lock(&closer->lock);
    }
    mutex_unlock(&closer->lock);
}

void closer_init(struct closer *closer)
{
    mutex_init(&closer->lock, 651, "host closer");
    condition_init(&closer->changed);
}

void closer_close(struct closer *closer, int fd)
{
    if (!closer->thread && thread_start(&closer->thread, "closer", run, closer, NULL) < 0) {
        closer->thread = NULL;
        (void)close(fd); /* then here */
        return;
    }
    mutex_lock(&closer->lock);
    vec_push(&closer->fds, fd);
    mutex_unlock(&closer->lock);
    condition_signal(&closer->changed);
}

void closer_done(struct closer *closer)
{
    mutex_lock(&closer->lock);
    closer->is_over = true;
    mutex_unlock(&closer->lock);
    condition_signal(&closer->changed);
    thread_join(closer->thread);
    mutex_lock(&closer->lock); /* nobody else is there any more: for the compiler */
    vec_done(&closer->fds);
    mutex_unlock(&closer->lock);
    condition_done(&closer->changed);
    mutex_done(&closer->lock);
}
