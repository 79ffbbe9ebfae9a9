/* Whole nodes in one process: runtime, transport, gateway and server are real, the test stands in for the
 * operator. Actors of behavior "test.echo" know the methods
 *
 *     echo         answers with its value          silent       answers never
 *     count        answers how many messages came  fail         crashes
 *     unavailable  answers that error itself       block        holds its worker until unblock()
 *     trace        answers the trace in which it comes, in hex, "" for none; noted_trace: that of note_trace
 *
 * One set of nodes at a time; failures fail the test. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/gateway.h"
#include "rpc/stream.h"

struct rpc_client;

enum { NODES_MAX = 2, PATIENCE_MS = 20 * 1000 };

struct test_node {
    uint64_t uid;
    char name[16], address[128];
    struct rpc_loop *loop;
    struct rpc_server *server;
    struct transport *transport;
    struct actor_system *actors;
    struct gateway *gateway;
    struct rpc_client *client;
};

/* They know each other, and no unit. NULL: no credential, and the defaults. */
void nodes_start(size_t count, const struct gateway_config *config);
void nodes_stop(void);
struct test_node *node_at(size_t index);

/* Starts the unit with one actor, tells all nodes where it is, and waits until it runs. */
void unit_start(size_t node, const char *unit, uint64_t epoch);
/* The same with "test.slow", whose start does "block", and does not wait. */
void unit_start_slowly(size_t node, const char *unit, uint64_t epoch);
/* Only tells them; SIZE_MAX: nowhere. */
void unit_route(size_t node, const char *unit, uint64_t epoch);
/* Lets "block" return. */
void unblock(void);
void wait_blocked(void);

/* How many asks the gateway has, and how many of them wait for a route. */
struct asks {
    size_t all, waiting;
};
struct asks asks_of(size_t node);
void wait_asks(size_t node, size_t all, size_t waiting);
unsigned watchers_of(size_t node);
void wait_watchers(size_t node, unsigned count);
struct rpc_loop *client_loop(void);

/* One lock for what the test's threads share, below which nothing of the nodes is called; wait: with it,
 * until something has changed, else the test fails. */
void test_lock(void);
void test_unlock(void);
void test_changed(void);
void test_wait(void);
/* A little while, for what nobody tells of; fails the test after the deadline. */
void look_again(int64_t deadline_ns, const char *what);

/* ---- calls ---- */

struct answer {
    enum rpc_code code;
    enum histrio_error error; /* with RPC_OK */
    char text[256];           /* of the error or of the status */
    uint8_t value[64];
    size_t size;
    char node[32];
    int64_t took_ms;
};

/* An ask or tell; zero is the default: value nil, 5 s, no credential. */
struct request {
    const char *actor, *method;
    const void *value;
    size_t size;
    uint32_t timeout_ms;
    const char *credential;
    const char *trace;
};

struct flight; /* a call under way */
struct flight *ask_begin(size_t node, const struct request *request);
struct answer ask_end(struct flight *flight); /* waits, and frees it */
struct answer ask_request(size_t node, const struct request *request);
struct answer ask(size_t node, const char *actor, const char *method, uint32_t timeout_ms);
struct answer tell_request(size_t node, const struct request *request);
struct answer tell(size_t node, const char *actor, const char *method);
/* Any bytes as the request of any method of the service. */
struct answer call_bytes(size_t node, const char *method, const void *data, size_t size);

/* The rows as "path state" lines. */
void list(size_t node, const char *path, char *ret_text, size_t size);

/* The tests. */
extern const struct CMUnitTest ask_tests[], request_tests[], look_tests[], http_tests[];
extern const size_t ask_test_count, request_test_count, look_test_count, http_test_count;
