#include "controllers/status_pool.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "base/vec.h"
#include "controllers/status_writer.h"
#include "kube/workqueue.h"

enum { POOL_RANK = 115 };

enum { JOB_IDLE, JOB_WAITS, JOB_RUNS, JOB_ENDED };

struct status_pool {
    struct kube_workqueue *queue;
    VEC(struct thread *) threads;
    struct mutex lock; /* "statuses"; also guards the state of jobs */
    struct condition added;
    struct condition ended;
    struct list jobs GUARDED_BY(&lock); /* that wait, oldest first */
    bool is_over GUARDED_BY(&lock);
};

static void perform(struct status_job *job)
{
    job->failed = job->may_act(job->ctx, job->leadership)
                      ? status_writer_work(job->writer, &job->status, job->version, &job->err)
                      : err_set(&job->err, ERR_CANCELED, "somebody else leads by now");
    status_done(&job->status);
    job->status = (struct status){0};
}

static struct status_job *next(struct status_pool *pool)
{
    mutex_lock(&pool->lock);
    while (list_is_empty(&pool->jobs) && !pool->is_over)
        condition_wait(&pool->added, &pool->lock);
    struct list_node *link = list_pop_front(&pool->jobs);
    struct status_job *job = link ? list_entry(link, struct status_job, link) : NULL;
    if (job)
        job->state = JOB_RUNS;
    mutex_unlock(&pool->lock);
    return job;
}

static void work(void *ctx)
{
    struct status_pool *pool = ctx;
    struct status_job *job;
    while ((job = next(pool))) { /* ends with the pool */
        _cleanup_(cleanup_free) char *key = xstrdup(job->key);
        perform(job);
        mutex_lock(&pool->lock);
        job->state = JOB_ENDED; /* from here on it may be gone */
        condition_broadcast(&pool->ended);
        mutex_unlock(&pool->lock);
        kube_workqueue_add(pool->queue, key, KUBE_PRIORITY_NORMAL);
    }
}

int status_pool_new(
    unsigned threads, struct kube_workqueue *queue, struct status_pool **ret_pool, struct err *err)
{
    struct status_pool *pool = xcalloc(1, sizeof(*pool));
    pool->queue = queue;
    mutex_init(&pool->lock, POOL_RANK, "statuses");
    condition_init(&pool->added);
    condition_init(&pool->ended);
    mutex_lock(&pool->lock); /* nobody else is here; the compiler cannot know */
    list_init(&pool->jobs);
    mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < threads; i++) {
        struct thread *thread = NULL;
        char name[32];
        (void)snprintf(name, sizeof(name), "status-%u", i); /* cut when there are very many */
        if (thread_start(&thread, name, work, pool, err) < 0) {
            status_pool_free(pool);
            return -1;
        }
        vec_push(&pool->threads, thread);
    }
    *ret_pool = pool;
    return 0;
}

void status_pool_free(struct status_pool *pool)
{
    if (!pool)
        return;
    mutex_lock(&pool->lock);
    assert(list_is_empty(&pool->jobs));
    pool->is_over = true;
    condition_broadcast(&pool->added);
    mutex_unlock(&pool->lock);
    vec_for_each (thread, &pool->threads)
        thread_join(*thread);
    vec_done(&pool->threads);
    condition_done(&pool->ended);
    condition_done(&pool->added);
    mutex_done(&pool->lock);
    free(pool);
}

void status_pool_add(struct status_pool *pool, struct status_job *job)
{
    mutex_lock(&pool->lock);
    assert(job->state == JOB_IDLE);
    job->state = JOB_WAITS;
    job->failed = 0;
    job->err = (struct err){0};
    list_push_back(&pool->jobs, &job->link);
    condition_signal(&pool->added);
    mutex_unlock(&pool->lock);
}

bool status_pool_has(struct status_pool *pool, const struct status_job *job)
{
    mutex_lock(&pool->lock);
    bool has = job->state != JOB_IDLE;
    mutex_unlock(&pool->lock);
    return has;
}

bool status_pool_take(struct status_pool *pool, struct status_job *job)
{
    mutex_lock(&pool->lock);
    bool has_ended = job->state == JOB_ENDED;
    if (has_ended)
        job->state = JOB_IDLE;
    mutex_unlock(&pool->lock);
    return has_ended;
}

void status_pool_wait(struct status_pool *pool, struct status_job *job)
{
    mutex_lock(&pool->lock);
    if (job->state == JOB_WAITS)
        list_remove(&job->link);
    while (job->state == JOB_RUNS) /* its requests have timeouts */
        condition_wait(&pool->ended, &pool->lock);
    job->state = JOB_IDLE;
    mutex_unlock(&pool->lock);
    status_done(&job->status);
    job->status = (struct status){0};
}
