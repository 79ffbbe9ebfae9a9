#include "cli/client.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
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
};

struct client {
    char *system;
    char *address;
    uint8_t *credential;
    size_t credential_size;
    struct rpc_loop *loop;
};

int client_new(const char *system, struct client **ret_client, struct err *err)
{
    _cleanup_(cleanup_free) char *credential = NULL;
    struct client *client = xcalloc(1, sizeof(*client));
    client->system = xstrdup(system);
    if (run_folder_find(system, &client->address, &credential, err) < 0 ||
        run_folder_unhex(credential, &client->credential, &client->credential_size, err) < 0 ||
        rpc_loop_new("client", &client->loop, err) < 0) {
        client_free(client);
        return -1;
    }
    *ret_client = client;
    return 0;
}

void client_free(struct client *client)
{
    if (!client)
        return;
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

static int call_wait(struct client *client, const struct call *call, struct wire_arena *arena,
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

static int call_run(struct client *client, const char *path, const void *request,
    const ProtobufCMessageDescriptor *response_type, struct wire_arena *arena,
    ProtobufCMessage **ret_response, struct err *err)
{
    struct call call = {client->address, path, request, response_type, RUN_TIMEOUT_MS};
    wire_arena_init(arena, NULL, 0, ANSWER_MEMORY_BYTES);
    if (call_wait(client, &call, arena, ret_response, err) < 0)
        return err_wrap(err, "the run of system \"%s\"", client->system);
    return 0;
}

static ProtobufCBinaryData credential_of(const struct client *client)
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

int client_status(struct client *client, struct json **ret_status, struct err *err)
{
    Histrio__V1__StatusRequest request = HISTRIO__V1__STATUS_REQUEST__INIT;
    _cleanup_(wire_arena_done) struct wire_arena arena;
    ProtobufCMessage *message = NULL;
    request.credential = credential_of(client);
    if (call_run(client, "/histrio.v1.Run/Status", &request, &histrio__v1__status_response__descriptor,
            &arena, &message, err) < 0)
        return -1;
    const char *text = ((const Histrio__V1__StatusResponse *)message)->status_json;
    return json_parse(text, strlen(text), ret_status, err);
}

int client_explain(struct client *client, const char *unit, struct json **ret_explanation, struct err *err)
{
    Histrio__V1__ExplainRequest request = HISTRIO__V1__EXPLAIN_REQUEST__INIT;
    _cleanup_(wire_arena_done) struct wire_arena arena;
    ProtobufCMessage *message = NULL;
    request.credential = credential_of(client);
    request.unit = borrow(unit);
    if (call_run(client, "/histrio.v1.Run/Explain", &request, &histrio__v1__explain_response__descriptor,
            &arena, &message, err) < 0)
        return -1;
    const Histrio__V1__ExplainResponse *response = (const Histrio__V1__ExplainResponse *)message;
    if (answer_error(response->error, response->text, err) < 0)
        return -1;
    return json_parse(response->explanation_json, strlen(response->explanation_json), ret_explanation, err);
}

int client_resume(struct client *client, const char *unit, struct err *err)
{
    Histrio__V1__ResumeRequest request = HISTRIO__V1__RESUME_REQUEST__INIT;
    _cleanup_(wire_arena_done) struct wire_arena arena;
    ProtobufCMessage *message = NULL;
    request.credential = credential_of(client);
    request.unit = borrow(unit);
    if (call_run(client, "/histrio.v1.Run/Resume", &request, &histrio__v1__resume_response__descriptor,
            &arena, &message, err) < 0)
        return -1;
    const Histrio__V1__ResumeResponse *response = (const Histrio__V1__ResumeResponse *)message;
    return answer_error(response->error, response->text, err);
}

int client_stop(struct client *client, uint32_t drain_timeout_ms, struct err *err)
{
    Histrio__V1__StopRequest request = HISTRIO__V1__STOP_REQUEST__INIT;
    _cleanup_(wire_arena_done) struct wire_arena arena;
    ProtobufCMessage *message = NULL;
    request.credential = credential_of(client);
    request.drain_timeout_ms = drain_timeout_ms;
    if (call_run(client, "/histrio.v1.Run/Stop", &request, &histrio__v1__stop_response__descriptor, &arena,
            &message, err) < 0)
        return -1;
    const Histrio__V1__StopResponse *response = (const Histrio__V1__StopResponse *)message;
    return answer_error(response->error, response->text, err);
}

int client_ask(struct client *client, const struct client_message *message, struct client_answer *ret_answer,
    struct err *err)
{
    Histrio__V1__AskRequest request = HISTRIO__V1__ASK_REQUEST__INIT;
    _cleanup_(wire_arena_done) struct wire_arena arena;
    ProtobufCMessage *decoded = NULL;
    struct call call = {message->gateway, "/histrio.v1.Gateway/Ask", &request,
        &histrio__v1__ask_response__descriptor, (uint64_t)message->timeout_ms + CONNECT_MARGIN_MS};
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

int client_tell(struct client *client, const struct client_message *message, struct client_answer *ret_answer,
    struct err *err)
{
    Histrio__V1__TellRequest request = HISTRIO__V1__TELL_REQUEST__INIT;
    _cleanup_(wire_arena_done) struct wire_arena arena;
    ProtobufCMessage *decoded = NULL;
    struct call call = {message->gateway, "/histrio.v1.Gateway/Tell", &request,
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

void client_answer_done(struct client_answer *answer)
{
    free(answer->text);
    free(answer->value);
    free(answer->node);
    *answer = (struct client_answer){0};
}
