/* The loop: frames, then what needs none, then out with what was said. */
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/value.h"
#include "capi/intern.h"
#include "cworker/private.h"
#include "cworker/snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Answers wait for others at most that long while there is more to do, and a DROP that much longer. What
 * needs no frame waits for frames at most LOCAL_NS: to find the next timeout is a look at each actor. */
enum { GATHER_NS = 200 * 1000, LOCAL_NS = 10 * 1000 * 1000 };

/* A signal handler has no ctx: the one global. */
static struct cworker *last_worker;

int64_t cworker_now(void)
{
    return clock_now_ns(clock_system());
}

struct slot *cworker_slot(struct cworker *worker, uint32_t slot)
{
    while (worker->slots.count < slot)
        (void)vec_push_new(&worker->slots);
    return &worker->slots.items[slot - 1];
}

/* An actor that was killed must not go on, whatever waits before the frame that says so. */
static void look_at(void *ctx, const struct frame *frame)
{
    struct cworker *worker = ctx;
    if (frame->kind == FRAME_DROP && cworker_actor(worker, frame->actor))
        worker->slots.items[frame->actor - 1].is_dropped = true;
}

static void say_hello(struct cworker *worker)
{
    struct str text = STR_INIT(256);
    value_put_map(&text, 4);
    value_put_string(&text, "protocol");
    value_put_uint(&text, FRAME_PROTOCOL);
    value_put_string(&text, "pid");
    value_put_uint(&text, (uint64_t)getpid());
    value_put_string(&text, "role");
    value_put_string(&text, "worker");
    value_put_string(&text, "software");
    value_put_string(&text, "histrio 0.1.0, C");
    struct frame frame = {.kind = FRAME_HELLO};
    connection_append(&worker->connection, &frame, text.data, text.size);
    connection_flush(&worker->connection);
    str_done(&text);
}

int cworker_new(int socket_fd, int page_fd, struct cworker **ret_worker, struct err *err)
{
    struct cworker *worker = xcalloc(1, sizeof(*worker));
    connection_init(&worker->connection, socket_fd, look_at, worker);
    libraries_init(&worker->libraries);
    (void)rng_seed_from_system(&worker->rng);
    worker->free_ask = UINT32_MAX;
    if (begun_init(&worker->begun, page_fd, err) < 0) {
        cworker_free(worker);
        return -1;
    }
    say_hello(worker);
    last_worker = worker;
    *ret_worker = worker;
    return 0;
}

void cworker_free(struct cworker *worker)
{
    if (!worker)
        return;
    if (last_worker == worker)
        last_worker = NULL;
    vec_for_each (slot, &worker->slots) {
        if (slot->actor)
            instance_free(slot->actor);
        snapshot_forget(slot);
    }
    vec_done(&worker->slots);
    vec_done(&worker->asks);
    vec_done(&worker->failed_asks);
    begun_done(&worker->begun);
    connection_done(&worker->connection);
    libraries_done(&worker->libraries);
    free(worker);
}

int cworker_add_library(struct cworker *worker, const struct histrio_library *library, struct err *err)
{
    return libraries_add(&worker->libraries, library, err);
}

/* Between two frames of many. */
static void look_up(struct cworker *worker)
{
    struct connection *connection = &worker->connection;
    int64_t now_ns = cworker_now();
    if (connection->out_size > GATHER_BYTES ||
        (connection->out_size > 0 && now_ns - connection->out_since_ns > GATHER_NS))
        dispatch_flush(worker);
    if (now_ns - worker->read_ns > GATHER_NS) {
        worker->read_ns = now_ns;
        connection_read(connection, 0);
    }
}

static void handle_local(struct cworker *worker)
{
    struct local_round round = dispatch_round(worker);
    while (dispatch_local(worker, &round))
        look_up(worker);
    worker->local_ns = cworker_now();
}

bool cworker_step(struct cworker *worker, int timeout_ms)
{
    struct connection *connection = &worker->connection;
    int wait_ms = dispatch_wait_ms(worker);
    if (timeout_ms >= 0 && (wait_ms < 0 || timeout_ms < wait_ms))
        wait_ms = timeout_ms;
    connection_read(connection, wait_ms);
    worker->read_ns = worker->local_ns = cworker_now();
    struct frame frame;
    const uint8_t *payload;
    while (connection_next(connection, &frame, &payload)) {
        dispatch_frame(worker, &frame, payload);
        look_up(worker);
        if (cworker_now() - worker->local_ns > LOCAL_NS)
            handle_local(worker);
    }
    handle_local(worker);
    dispatch_flush(worker);
    return !connection->is_over;
}

void cworker_last_words(void)
{
    if (!last_worker)
        return;
    const struct connection *connection = &last_worker->connection;
    /* Answers of handlers that have returned: without this they would be lost with the one that fails. */
    if (send(connection->fd, connection->out, connection_said(connection), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return; /* the node is gone, or does not read: it says "executed, its answer is lost" */
}

static void copy_text(char *buffer, size_t size, const char *text)
{
    size_t i = 0;
    for (; i + 1 < size && text[i]; i++)
        buffer[i] = text[i];
    buffer[i] = 0;
}

void cworker_executing(
    char *ret_unit, size_t unit_size, char *ret_actor, size_t actor_size, char *ret_type, size_t type_size)
{
    const struct cactor *actor = last_worker ? last_worker->executing : NULL;
    if (!actor)
        return;
    copy_text(ret_unit, unit_size, actor->unit);
    copy_text(ret_actor, actor_size, intern_text(actor->path));
    copy_text(ret_type, type_size, intern_text(last_worker->executing_type));
}
