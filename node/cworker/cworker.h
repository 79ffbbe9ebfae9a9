/* cworker/cworker.h: the other end of docs/host.md for behaviors in C: a process that runs actors of the node
 * beside it. It implements histrio/actor.h on one connection, and is linked instead of node/actor.
 *
 * One thread. Deliveries are handled in the order in which they come, each by one call of the behavior. Only
 * histrio_spawn() waits: starts of new actors run inside of it, everything else after the handler. */
#ifndef CWORKER_CWORKER_H
#define CWORKER_CWORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cworker;
struct err;
struct histrio_library;

/* Takes the socket; maps the page (it may be NULL for page_fd -1: then nothing is noted). Says HELLO. */
int cworker_new(int socket_fd, int page_fd, struct cworker **ret_worker, struct err *err);
void cworker_free(struct cworker *worker);

/* Behaviors that are linked in. */
int cworker_add_library(struct cworker *worker, const struct histrio_library *library, struct err *err);

/* Handles what came, and waits for it for at most that time (-1: without end). False: the connection is
 * over, or what came is no frame. */
bool cworker_step(struct cworker *worker, int timeout_ms);

/* Of the last worker that was made: what handlers that have returned had said goes out, as far as the socket
 * takes it at once. For a process that ends. Async-signal-safe. */
void cworker_last_words(void);

/* Who executes now, for base/crash.h: of the last worker that was made. Async-signal-safe. */
void cworker_executing(
    char *ret_unit, size_t unit_size, char *ret_actor, size_t actor_size, char *ret_type, size_t type_size);

#endif
