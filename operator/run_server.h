/* operator/run_server.h: service Run (gateway.proto) on the run's Unix socket, on a loop of its own, "run".
 * Each request becomes a struct run_request for the run's thread, which answers it with run_request_answer().
 */
#pragma once

#include "base/list.h"

#include <stddef.h>
#include <stdint.h>

struct err;
struct run_call;
struct run_queue;
struct run_server;

enum run_request_kind { RUN_STATUS, RUN_EXPLAIN, RUN_RESUME, RUN_STOP };

struct run_request {
    struct list_node link;
    enum run_request_kind kind;
    struct run_server *server;
    struct run_call *call;
    char *unit;                /* explain, resume */
    uint32_t drain_timeout_ms; /* stop; 0: the manifest's */
    /* The answer. */
    int error;  /* of enum Error in common.proto; 0: none */
    char *text; /* of an error */
    char *json; /* status, explanation */
};

struct run_server_config {
    const char *address; /* "unix:/..." */
    const uint8_t *credential;
    size_t credential_size;
    struct run_queue *queue;
};

int run_server_new(const struct run_server_config *config, struct run_server **ret_server, struct err *err);
/* After it no request comes; those that are still in the queue must be failed before. */
void run_server_stop(struct run_server *server);
void run_server_free(struct run_server *server);

/* Sends the answer and frees the request. The owner of the queue's thread. `err` NULL: it worked. */
void run_request_answer(struct run_request *request, const struct err *err);
/* Frees a request whose caller gets no answer any more. */
void run_request_fail(struct run_request *request);
