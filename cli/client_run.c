/* A client of a local run. The only file of the CLI that knows the protocol. */
#include "cli/client_private.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/rows.h"
#include "operator/run_folder.h"
#include "rpc/client.h"
#include "rpc/loop.h"
#include "wire/arena.h"
#include "wire/wire.h"

#include <histrio/v1/gateway.pb-c.h>
#include <stdlib.h>
#include <string.h>

enum {
    RUN_TIMEOUT_MS = 10 * 1000,
    CONNECT_MARGIN_MS = 1000, /* the gateway answers a timeout itself; this is for one that does not */
    ANSWER_MEMORY_BYTES = 64 * 1024 * 1024,
    GATEWAYS_MAX = 3,
};

struct run_client {
    struct client head;
    char *system;
    char *address;
    uint8_t *credential;
    size_t credential_size;
    struct rpc_loop *loop;
};

static struct run_client *run_client_of(struct client *client)
{
    return (struct run_client *)client; /* head comes first */
}

static void run_client_free(struct client *head)
{
    struct run_client *client = run_client_of(head);
    rpc_loop_free(client->loop);
    free(client->system);
    free(client->address);
    free(client->credential);
    free(client);
}

/* Everything of one call; the response lives in the arena. */
struct call {
    const char *address;
    const char *path;
    const void *request;
    const ProtobufCMessageDescriptor *response_type;
    uint64_t timeout_ms;
};

static int call_wait(struct run_client *client, const struct call *call, struct wire_arena *arena,
    ProtobufCMessage **ret_response, struct err *err)
{
    struct rpc_client_config config = {.address = call->address};
    _cleanup_(cleanup_free) uint8_t *request = NULL;
    _cleanup_(cleanup_free) uint8_t *response = NULL;
    struct rpc_client *connection = NULL;
    size_t request_size, response_size;
    if (wire_pack(call->request, LIMIT_FRAME_BYTES, &request, &request_size, err) < 0 ||
        rpc_client_new(client->loop, &config, &connection, err) < 0)
        return -1;
    int failed = rpc_client_call_wait(connection, call->path, request, request_size, call->timeout_ms, false,
        &response, &response_size, err);
    rpc_client_free(connection);
    if (failed)
        return -1;
    return wire_unpack(
        call->response_type, response, response_size, LIMIT_FRAME_BYTES, arena, ret_response, err);
}

static int call_run(struct run_client *client, const char *path, const void *request,
    const ProtobufCMessageDescriptor *response_type, struct wire_arena *arena,
    ProtobufCMessage **ret_response, struct err *err)
{
    struct call call = {client->address, path, request, response_type, RUN_TIMEOUT_MS};
    wire_arena_init(arena, NULL, 0, ANSWER_MEMORY_BYTES);
    if (call_wait(client, &call, arena, ret_response, err) < 0)
        return err_wrap(err, "the run of system \"%s\"", client->system);
    return 0;
}

static ProtobufCBinaryData credential_of(const struct run_client *client)
{
    return (ProtobufCBinaryData){client->credential_size, client->credential};
}

static char *borrow(const char *text)
{
    return (char *)(uintptr_t)text;
}

static int answer_error(Histrio__V1__Error error, const char *text, struct err *err)
{
    enum err_kind kind = ERR_UNAVAILABLE;
    if (error == HISTRIO__V1__ERROR__ERROR_NONE)
        return 0;
    if (error == HISTRIO__V1__ERROR__ERROR_NOT_FOUND)
        kind = ERR_NOT_FOUND;
    else if (error == HISTRIO__V1__ERROR__ERROR_BAD_ARGUMENT)
        kind = ERR_INVALID;
    return err_set(err, kind, "%s", text);
}

static int run_status(struct client *client, struct json **ret_status, struct err *err)
{
    Histrio__V1__StatusRequest request = HISTRIO__V1__STATUS_REQUEST__INIT;
    _cleanup_(wire_arena_done) struct wire_arena arena;
    ProtobufCMessage *message = NULL;
    request.credential = credential_of(run_client_of(client));
    if (call_run(run_client_of(client), "/histrio.v1.Run/Status", &request,
            &histrio__v1__status_response__descriptor, &arena, &message, err) < 0)
        return -1;
    const char *text = ((const Histrio__V1__StatusResponse *)message)->status_json;
    return json_parse(text, strlen(text), ret_status, err);
}

static int run_explain(
    struct client *client, const char *unit, struct json **ret_explanation, struct err *err)
{
    Histrio__V1__ExplainRequest request = HISTRIO__V1__EXPLAIN_REQUEST__INIT;
    _cleanup_(wire_arena_done) struct wire_arena arena;
    ProtobufCMessage *message = NULL;
    request.credential = credential_of(run_client_of(client));
    request.unit = borrow(unit);
    if (call_run(run_client_of(client), "/histrio.v1.Run/Explain", &request,
            &histrio__v1__explain_response__descriptor, &arena, &message, err) < 0)
        return -1;
    const Histrio__V1__ExplainResponse *response = (const Histrio__V1__ExplainResponse *)message;
    if (answer_error(response->error, response->text, err) < 0)
        return -1;
    return json_parse(response->explanation_json, strlen(response->explanation_json), ret_explanation, err);
}

static int run_request(struct client *client, const struct client_request *what, struct err *err)
{
    if (what->verb != CLIENT_RESUME)
        return err_set(err, ERR_INVALID, "only an operator on a cluster does that");
    Histrio__V1__ResumeRequest request = HISTRIO__V1__RESUME_REQUEST__INIT;
    _cleanup_(wire_arena_done) struct wire_arena arena;
    ProtobufCMessage *message = NULL;
    request.credential = credential_of(run_client_of(client));
    request.unit = borrow(what->subject);
    if (call_run(run_client_of(client), "/histrio.v1.Run/Resume", &request,
            &histrio__v1__resume_response__descriptor, &arena, &message, err) < 0)
        return -1;
    const Histrio__V1__ResumeResponse *response = (const Histrio__V1__ResumeResponse *)message;
    return answer_error(response->error, response->text, err);
}

static int run_stop(struct client *client, uint32_t drain_timeout_ms, struct err *err)
{
    Histrio__V1__StopRequest request = HISTRIO__V1__STOP_REQUEST__INIT;
    _cleanup_(wire_arena_done) struct wire_arena arena;
    ProtobufCMessage *message = NULL;
    request.credential = credential_of(run_client_of(client));
    request.drain_timeout_ms = drain_timeout_ms;
    if (call_run(run_client_of(client), "/histrio.v1.Run/Stop", &request,
            &histrio__v1__stop_response__descriptor, &arena, &message, err) < 0)
        return -1;
    const Histrio__V1__StopResponse *response = (const Histrio__V1__StopResponse *)message;
    return answer_error(response->error, response->text, err);
}

/* ---- messages: through the gateway of the node that hosts the actor, or, when that is not known or not
 * there, of any other node, which forwards ---- */

struct gateways {
    const char *addresses[GATEWAYS_MAX];
    size_t count;
};

static void add_gateway(const struct json *node, struct gateways *gateways)
{
    const char *address = json_string(json_get(node, "gatewayAddress"));
    if (!*address || !text_equal(json_string(json_get(node, "state")), "Connected"))
        return;
    for (size_t i = 0; i < gateways->count; i++) {
        if (text_equal(gateways->addresses[i], address))
            return;
    }
    if (gateways->count < GATEWAYS_MAX)
        gateways->addresses[gateways->count++] = address;
}

/* The actor's own node first. */
static void find_gateways(const struct json *status, const char *actor, struct gateways *gateways)
{
    char unit[LIMIT_ADDRESS_BYTES + 1];
    size_t size = strcspn(actor, "/");
    memcpy(unit, actor, size); /* address_parse bounds it */
    unit[size] = '\0';
    const struct json *nodes = json_get(status, "nodeStatuses");
    const struct json *row = rows_find(json_get(status, "unitStatuses"), "unit", unit);
    add_gateway(rows_find(nodes, "node", json_string(json_get(row, "node"))), gateways);
    json_for_each(node, nodes) add_gateway(node, gateways);
}

static int ask(struct run_client *client, const char *gateway, const struct client_message *message,
    struct client_answer *ret_answer, struct err *err)
{
    Histrio__V1__AskRequest request = HISTRIO__V1__ASK_REQUEST__INIT;
    _cleanup_(wire_arena_done) struct wire_arena arena;
    ProtobufCMessage *decoded = NULL;
    struct call call = {gateway, "/histrio.v1.Gateway/Ask", &request, &histrio__v1__ask_response__descriptor,
        (uint64_t)message->timeout_ms + CONNECT_MARGIN_MS};
    request.actor = borrow(message->actor);
    request.method = borrow(message->method);
    request.arguments = (ProtobufCBinaryData){message->size, (uint8_t *)(uintptr_t)message->arguments};
    request.timeout_ms = message->timeout_ms;
    request.credential = credential_of(client);
    wire_arena_init(&arena, NULL, 0, ANSWER_MEMORY_BYTES);
    if (call_wait(client, &call, &arena, &decoded, err) < 0)
        return -1;
    const Histrio__V1__AskResponse *response = (const Histrio__V1__AskResponse *)decoded;
    *ret_answer = (struct client_answer){.error = (int)response->error,
        .text = xstrdup(response->text),
        .value = xmemdup(response->value.data, response->value.len),
        .size = response->value.len,
        .node = xstrdup(response->node_name)};
    return 0;
}

static int tell(struct run_client *client, const char *gateway, const struct client_message *message,
    struct client_answer *ret_answer, struct err *err)
{
    Histrio__V1__TellRequest request = HISTRIO__V1__TELL_REQUEST__INIT;
    _cleanup_(wire_arena_done) struct wire_arena arena;
    ProtobufCMessage *decoded = NULL;
    struct call call = {gateway, "/histrio.v1.Gateway/Tell", &request,
        &histrio__v1__tell_response__descriptor, RUN_TIMEOUT_MS};
    request.actor = borrow(message->actor);
    request.method = borrow(message->method);
    request.arguments = (ProtobufCBinaryData){message->size, (uint8_t *)(uintptr_t)message->arguments};
    request.credential = credential_of(client);
    wire_arena_init(&arena, NULL, 0, ANSWER_MEMORY_BYTES);
    if (call_wait(client, &call, &arena, &decoded, err) < 0)
        return -1;
    const Histrio__V1__TellResponse *response = (const Histrio__V1__TellResponse *)decoded;
    *ret_answer = (struct client_answer){
        .error = (int)response->error, .text = xstrdup(response->text), .node = xstrdup("")};
    return 0;
}

/* Another gateway is tried only when nothing can have been sent. */
static int run_send(struct client *head, const struct client_message *message, bool is_ask,
    struct client_answer *ret_answer, struct err *err)
{
    struct run_client *client = run_client_of(head);
    _cleanup_(json_freep) struct json *status = NULL;
    struct gateways gateways = {0};
    if (run_status(head, &status, err) < 0)
        return -1;
    find_gateways(status, message->actor, &gateways);
    if (gateways.count == 0)
        return err_set(err, ERR_UNAVAILABLE,
            "no node of system \"%s\" is connected: try again, or look at `histrio get nodes`",
            client->system);
    const char *gateway = NULL;
    for (size_t i = 0; i < gateways.count; i++) {
        gateway = gateways.addresses[i];
        if ((is_ask ? ask : tell)(client, gateway, message, ret_answer, err) == 0)
            return 0;
        if (err->kind != ERR_UNAVAILABLE)
            break;
    }
    return err_wrap(err, "gateway \"%s\"", gateway);
}

/* ---- life ---- */

int client_run_new(const char *system, struct client **ret_client, struct err *err)
{
    _cleanup_(cleanup_free) char *credential = NULL;
    struct run_client *client = xcalloc(1, sizeof(*client));
    client->head = (struct client){.free = run_client_free,
        .status = run_status,
        .explain = run_explain,
        .request = run_request,
        .stop = run_stop,
        .send = run_send};
    client->system = xstrdup(system);
    if (run_folder_find(system, &client->address, &credential, err) < 0 ||
        run_folder_unhex(credential, &client->credential, &client->credential_size, err) < 0 ||
        rpc_loop_new("client", &client->loop, err) < 0) {
        run_client_free(&client->head);
        return -1;
    }
    *ret_client = &client->head;
    return 0;
}

static int read_status(const char *system, struct json **ret_status, struct err *err)
{
    struct client *client = NULL;
    if (client_run_new(system, &client, err) < 0)
        return -1;
    int failed = run_status(client, ret_status, err);
    run_client_free(client);
    return failed;
}

int client_run_list(void (*failed)(const char *system, const struct err *err, void *ctx), void *ctx,
    struct json **ret_statuses, struct err *err)
{
    struct run_names names = {0};
    if (run_folder_list(&names, err) < 0)
        return -1;
    struct json *statuses = json_array_new();
    vec_for_each (name, &names) {
        struct json *status = NULL;
        struct err inner = {0};
        if (read_status(*name, &status, &inner) == 0)
            json_add_take(statuses, status);
        else if (failed)
            failed(*name, &inner, ctx); /* the others are shown all the same */
    }
    run_names_done(&names);
    *ret_statuses = statuses;
    return 0;
}
