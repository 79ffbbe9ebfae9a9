/* A control with a node that is played by the test, and a core that takes what nodes say. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mutex.h"
#include "base/vec.h"
#include "core/core.h"
#include "operator_control/control.h"
#include "wire/arena.h"

#include <histrio/v1/control.pb-c.h>

enum { UID = 0xa1 };

struct rpc_creds;

typedef Histrio__V1__OperatorMessage operator_message;
typedef Histrio__V1__NodeMessage node_message;

struct fixture {
    char *folder;
    char *address;
    struct system_spec *spec;
    struct core *core;
    struct control *control;
    struct mutex lock;
    struct condition changed;
    /* Guarded by the lock. */
    struct list events;
    VEC(operator_message *) received; /* by the node */
    unsigned streams;
    /* The node's loop. */
    struct rpc_loop *loop;
    struct rpc_server *server;
    struct rpc_stream *stream;
    const char *system_uid;
    struct rpc_creds *node_creds;
    int64_t last_echo_ms;       /* of the last event */
    uint64_t refuses_with_term; /* 0: it does not */
    struct wire_arena arena;
};

/* A control whose term is 7, and no node. */
void fixture_begin(struct fixture *fixture);
/* The same with some of the configuration; creds in place of the credential. */
struct fixture_options {
    const char *address; /* of the node; NULL: a Unix socket */
    struct rpc_creds *node_creds, *operator_creds;
    struct rpc_loop *loop;
    struct control_gate *gate;
};
void fixture_begin_with(struct fixture *fixture, const struct fixture_options *options);
void fixture_end(struct fixture *fixture);

void fixture_start_node(struct fixture *fixture);
void fixture_stop_node(struct fixture *fixture);
void fixture_send(struct fixture *fixture, const node_message *message); /* what the node says */
void fixture_ask_echo(struct fixture *fixture, uint64_t nonce);          /* the same */

/* The next event, applied to the core; its text when it was a bad one, else "". */
const char *fixture_next_event(struct fixture *fixture);
/* The message number `index` that the node got. */
const operator_message *fixture_received(struct fixture *fixture, size_t index);

extern const struct CMUnitTest secure_tests[];
extern const size_t secure_test_count;
