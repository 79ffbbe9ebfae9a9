/* controllers/status_pool.h: threads that write statuses. The API server may take a tenth of a second for a
 * large one, and seconds when it has much to do: a system's other work does not wait for that, and statuses
 * of many systems do not keep all workers busy.
 *
 * Thread: any. A job is its system's; the pool has it from status_pool_add until status_pool_take says that
 * it has ended, or status_pool_wait returns. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "types/status.h"

struct kube_workqueue;
struct status_pool;
struct status_writer;

struct status_job {
    struct list_node link;
    int state; /* the pool's; 0: idle */
    /* Filled in before it is added. */
    struct status_writer *writer;
    const char *key;      /* is added to the queue when the job has ended */
    struct status status; /* goes over to the pool */
    uint64_t version;
    uint64_t leadership;
    bool (*may_act)(void *ctx, uint64_t leadership);
    void *ctx;
    /* When it has ended. */
    int failed;
    struct err err;
};

/* The queue lives longer. */
int status_pool_new(
    unsigned threads, struct kube_workqueue *queue, struct status_pool **ret_pool, struct err *err);
/* No job may be in it. NULL is fine. */
void status_pool_free(struct status_pool *pool);

void status_pool_add(struct status_pool *pool, struct status_job *job);
bool status_pool_has(struct status_pool *pool, const struct status_job *job);
/* True, once for each job: it has ended. */
bool status_pool_take(struct status_pool *pool, struct status_job *job);
/* Takes it back; waits for it when it is being written just now. */
void status_pool_wait(struct status_pool *pool, struct status_job *job);
