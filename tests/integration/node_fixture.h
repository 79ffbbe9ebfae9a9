/* A real node with an operator and a client of its gateway, for the tests of the node program. */
#pragma once

#include "support/control_client.h"
#include "support/node_process.h"

#include <histrio/v1/gateway.pb-c.h>

struct node_fixture {
    struct node_process node;
    struct control_client *client;
    uint64_t uid; /* of the runtime */
    pid_t runtime;
    uint64_t epoch;          /* last given */
    struct rpc_creds *creds; /* of the operator; NULL: plaintext */
};

enum { FIRST_TERM = 5 };

int node_fixture_setup(void **state); /* a node that runs, and nobody connected */
int node_fixture_teardown(void **state);

/* The same with settings as node_process_start() takes them. Freed by the second. */
struct node_fixture *node_fixture_start(const char *const *settings);
void node_fixture_end(struct node_fixture *fixture);

/* An operator with that term in place of the one before. */
void node_fixture_connect(struct node_fixture *fixture, uint64_t term);
/* Configuration with the library of tests/integration/behaviors.c. */
void node_fixture_configure(struct node_fixture *fixture);
/* Reads the next "started" report; connects and configures again. */
void node_fixture_follow_restart(struct node_fixture *fixture, uint64_t term);

struct assign_options {
    const char *unit, *behavior;
    uint64_t epoch;    /* 0: the next */
    uint64_t node_uid; /* 0: the right one */
    uint64_t term;     /* 0: of the session */
    bool is_python;
};
void node_fixture_send_assign(struct node_fixture *fixture, const struct assign_options *options);
/* The answer to the assign that was sent last. */
const Histrio__V1__AssignResult *node_fixture_assigned(struct node_fixture *fixture);
/* Assigns, waits until it runs, and tells the node where it is. */
void node_fixture_run_unit(struct node_fixture *fixture, const char *unit, const char *behavior);
void node_fixture_send_route(struct node_fixture *fixture, const char *unit, uint64_t node_uid);

/* Through the gateway, with the value "hi" as msgpack. The error; on none, that the value came back is
 * checked where `is_echo`. */
Histrio__V1__Error node_fixture_ask(
    struct node_fixture *fixture, const char *actor, const char *method, uint32_t timeout_ms, bool is_echo);

struct unit_wanted {
    const char *unit;
    int state;            /* Histrio__V1__UnitState; -1: any */
    const char *reason;   /* a part of it; NULL: any */
    uint64_t incarnation; /* of its first actor, at least */
};
/* Waits for an inventory that shows the unit so. */
const Histrio__V1__HeldUnit *node_fixture_wait_unit(
    struct node_fixture *fixture, const struct unit_wanted *wanted);
