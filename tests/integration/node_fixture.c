#include "node_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/epoch.h"
#include "base/mem.h"
#include "rpc/client.h"
#include "rpc/loop.h"
#include "wire/wire.h"

#define TEXT(constant) ((char *)(uintptr_t)(constant)) /* generated structs are not const; nobody writes */
#define ASK_PATH "/histrio.v1.Gateway/Ask"

struct node_fixture *node_fixture_start(const char *const *settings)
{
    struct node_fixture *fixture = xcalloc(1, sizeof(*fixture));
    node_process_start(&fixture->node, settings);
    node_process_started(&fixture->node, &fixture->uid, &fixture->runtime);
    return fixture;
}

void node_fixture_end(struct node_fixture *fixture)
{
    control_client_free(fixture->client);
    node_process_end(&fixture->node, getenv("HISTRIO_TEST_SHOW_LOG") != NULL);
    free(fixture);
}

int node_fixture_setup(void **state)
{
    *state = node_fixture_start(NULL);
    return 0;
}

int node_fixture_teardown(void **state)
{
    node_fixture_end(*state);
    return 0;
}

void node_fixture_connect(struct node_fixture *fixture, uint64_t term)
{
    struct control_client_config config = {
        .address = fixture->node.control_address, .term = term, .creds = fixture->creds};
    control_client_free(fixture->client);
    fixture->client = control_client_new(&config);
    assert_true(control_client_hello(fixture->client)->hello->node_uid == fixture->uid);
    fixture->epoch = epoch_make((uint32_t)term, 0);
}

void node_fixture_configure(struct node_fixture *fixture)
{
    Histrio__V1__OperatorMessage message = HISTRIO__V1__OPERATOR_MESSAGE__INIT;
    Histrio__V1__Configuration configuration = HISTRIO__V1__CONFIGURATION__INIT;
    Histrio__V1__Configuration__Library good = HISTRIO__V1__CONFIGURATION__LIBRARY__INIT;
    Histrio__V1__Configuration__Library outside = good, missing = good, crashing = good;
    Histrio__V1__Configuration__Library *libraries[] = {&good, &outside, &missing, &crashing};
    good.name = TEXT("node_behaviors");
    good.path = TEXT("libnode_behaviors.so");
    outside.name = TEXT("outside");
    outside.path = TEXT("/bin/sh");
    missing.name = TEXT("missing");
    missing.path = TEXT("libmissing.so");
    crashing.name = TEXT("crashing");
    crashing.path = TEXT("libnode_crashing.so");
    configuration.generation = 1;
    configuration.libraries = libraries;
    configuration.n_libraries = 4;
    configuration.lease_ms = 3000;
    message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_CONFIGURATION;
    message.configuration = &configuration;
    control_client_send(fixture->client, &message);
}

void node_fixture_follow_restart(struct node_fixture *fixture, uint64_t term)
{
    node_process_started(&fixture->node, &fixture->uid, &fixture->runtime);
    node_fixture_connect(fixture, term);
    node_fixture_configure(fixture);
}

void node_fixture_send_assign(struct node_fixture *fixture, const struct assign_options *options)
{
    Histrio__V1__OperatorMessage message = HISTRIO__V1__OPERATOR_MESSAGE__INIT;
    Histrio__V1__Assign assign = HISTRIO__V1__ASSIGN__INIT;
    Histrio__V1__UnitSpec unit = HISTRIO__V1__UNIT_SPEC__INIT;
    Histrio__V1__Child root = HISTRIO__V1__CHILD__INIT;
    fixture->epoch = options->epoch ? options->epoch : fixture->epoch + 1;
    root.name = TEXT(options->unit);
    if (options->is_python)
        root.behavior_python = TEXT(options->behavior);
    else
        root.behavior_c = TEXT(options->behavior);
    root.shutdown_ms = 1000;
    unit.name = TEXT(options->unit);
    unit.generation = 1;
    unit.root = &root;
    assign.unit = &unit;
    assign.epoch = fixture->epoch;
    assign.node_uid = options->node_uid ? options->node_uid : fixture->uid;
    message.term = options->term;
    message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_ASSIGN;
    message.assign = &assign;
    control_client_send(fixture->client, &message);
}

static bool is_assigned(const Histrio__V1__NodeMessage *message, const void *ctx)
{
    const uint64_t *epoch = ctx;
    return message->body_case == HISTRIO__V1__NODE_MESSAGE__BODY_ASSIGNED &&
           message->assigned->epoch == *epoch;
}

const Histrio__V1__AssignResult *node_fixture_assigned(struct node_fixture *fixture)
{
    return control_client_wait(fixture->client, is_assigned, &fixture->epoch, "answer to assign")->assigned;
}

void node_fixture_send_route(struct node_fixture *fixture, const char *unit, uint64_t node_uid)
{
    Histrio__V1__OperatorMessage message = HISTRIO__V1__OPERATOR_MESSAGE__INIT;
    Histrio__V1__Routes routes = HISTRIO__V1__ROUTES__INIT;
    Histrio__V1__Placement placement = HISTRIO__V1__PLACEMENT__INIT;
    Histrio__V1__Placement *placements[] = {&placement};
    placement.unit = TEXT(unit);
    placement.epoch = fixture->epoch;
    placement.node_uid = node_uid;
    routes.version = fixture->epoch;
    routes.placements = placements;
    routes.n_placements = 1;
    message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_ROUTES;
    message.routes = &routes;
    control_client_send(fixture->client, &message);
}

void node_fixture_run_unit(struct node_fixture *fixture, const char *unit, const char *behavior)
{
    struct assign_options options = {.unit = unit, .behavior = behavior};
    node_fixture_send_assign(fixture, &options);
    const Histrio__V1__AssignResult *result = node_fixture_assigned(fixture);
    if (result->refusal != HISTRIO__V1__REFUSAL_REASON__REFUSAL_NONE)
        fail_msg("%s: refused with %d: %s", unit, (int)result->refusal, result->reason);
    node_fixture_send_route(fixture, unit, fixture->uid);
}

static Histrio__V1__AskResponse *call_gateway(
    struct node_fixture *fixture, const Histrio__V1__AskRequest *request)
{
    struct rpc_client_config config = {.address = fixture->node.gateway_address};
    struct rpc_loop *loop = NULL;
    struct rpc_client *client = NULL;
    uint8_t *sent = NULL, *got = NULL;
    size_t sent_size = 0, got_size = 0;
    Histrio__V1__AskResponse *response = NULL;
    assert_int_equal(rpc_loop_new("client", &loop, NULL), 0);
    assert_int_equal(rpc_client_new(loop, &config, &client, NULL), 0);
    assert_int_equal(wire_pack(request, 65536, &sent, &sent_size, NULL), 0);
    if (rpc_client_call_wait(client, ASK_PATH, sent, sent_size, 10000, true, &got, &got_size, NULL) == 0)
        response = histrio__v1__ask_response__unpack(NULL, got_size, got);
    free(sent);
    free(got);
    rpc_client_free(client);
    rpc_loop_free(loop);
    return response;
}

Histrio__V1__Error node_fixture_ask(
    struct node_fixture *fixture, const char *actor, const char *method, uint32_t timeout_ms, bool is_echo)
{
    static uint8_t value[] = {0xa2, 'h', 'i'};
    Histrio__V1__AskRequest request = HISTRIO__V1__ASK_REQUEST__INIT;
    request.actor = TEXT(actor);
    request.method = TEXT(method);
    request.arguments.data = value;
    request.arguments.len = sizeof(value);
    request.timeout_ms = timeout_ms;
    request.credential.data = (uint8_t *)(uintptr_t)node_credential;
    request.credential.len = sizeof(node_credential);
    Histrio__V1__AskResponse *response = call_gateway(fixture, &request);
    if (!response)
        return HISTRIO__V1__ERROR__ERROR_UNAVAILABLE; /* the node went away in the middle of it */
    Histrio__V1__Error error = response->error;
    if (is_echo && error == HISTRIO__V1__ERROR__ERROR_NONE) {
        assert_int_equal(response->value.len, sizeof(value));
        assert_memory_equal(response->value.data, value, sizeof(value));
    }
    histrio__v1__ask_response__free_unpacked(response, NULL);
    return error;
}

static const Histrio__V1__HeldUnit *find_unit(
    const Histrio__V1__Inventory *inventory, const struct unit_wanted *wanted)
{
    for (size_t i = 0; i < inventory->n_units; i++) {
        const Histrio__V1__HeldUnit *unit = inventory->units[i];
        if (strcmp(unit->unit, wanted->unit) != 0 ||
            (wanted->state >= 0 && (int)unit->state != wanted->state))
            continue;
        if (wanted->reason && !strstr(unit->reason, wanted->reason))
            continue;
        if (wanted->incarnation &&
            (unit->n_actors == 0 || unit->actors[0]->incarnation < wanted->incarnation ||
                strcmp(unit->actors[0]->state, "Running") != 0))
            continue;
        return unit;
    }
    return NULL;
}

static bool shows_unit(const Histrio__V1__NodeMessage *message, const void *ctx)
{
    return message->body_case == HISTRIO__V1__NODE_MESSAGE__BODY_INVENTORY &&
           find_unit(message->inventory, ctx) != NULL;
}

const Histrio__V1__HeldUnit *node_fixture_wait_unit(
    struct node_fixture *fixture, const struct unit_wanted *wanted)
{
    const Histrio__V1__NodeMessage *message =
        control_client_wait(fixture->client, shows_unit, wanted, "inventory with the unit");
    return find_unit(message->inventory, wanted);
}
