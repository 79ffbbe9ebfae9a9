/* Calls of a client. */
#include "support.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "rpc/client.h"
#include "wire/arena.h"
#include "wire/wire.h"

#include <histrio/v1/gateway.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct flight {
    const ProtobufCMessageDescriptor *type; /* of the response */
    int64_t started_ns;
    bool is_done; /* guarded, as the answer */
    struct answer answer;
    struct wire_arena arena;
    ProtobufCMessage *response;
};

static void set_text(char *text, size_t size, const char *from)
{
    (void)snprintf(text, size, "%s", from ? from : ""); /* longer ones are cut */
}

static void fill_ask(struct answer *answer, const Histrio__V1__AskResponse *response)
{
    answer->error = (enum histrio_error)response->error;
    set_text(answer->text, sizeof(answer->text), response->text);
    set_text(answer->node, sizeof(answer->node), response->node_name);
    answer->size = response->value.len;
    size_t size = answer->size < sizeof(answer->value) ? answer->size : sizeof(answer->value);
    if (size > 0)
        memcpy(answer->value, response->value.data, size);
}

static void landed(const struct rpc_status *status, const uint8_t *data, size_t size, void *ctx)
{
    struct flight *flight = ctx;
    struct err err;
    test_lock();
    flight->answer.took_ms = (clock_now_ns(clock_system()) - flight->started_ns) / NS_PER_MS;
    flight->answer.code = status->code;
    set_text(flight->answer.text, sizeof(flight->answer.text), status->text);
    if (status->code == RPC_OK &&
        wire_unpack(flight->type, data, size, LIMIT_FRAME_BYTES, &flight->arena, &flight->response, &err) < 0)
        fail_msg("%s", err.text);
    flight->is_done = true;
    test_changed();
    test_unlock();
}

static struct flight *call_begin(size_t node, const char *method, const void *data, size_t size,
    const ProtobufCMessageDescriptor *response)
{
    char path[64];
    struct flight *flight = xcalloc(1, sizeof(*flight));
    flight->type = response;
    flight->started_ns = clock_now_ns(clock_system());
    wire_arena_init(&flight->arena, NULL, 0, 2 * LIMIT_FRAME_BYTES);
    (void)snprintf(path, sizeof(path), "/histrio.v1.Gateway/%s", method);
    rpc_client_call(node_at(node)->client, path, data, size, PATIENCE_MS, true, landed, flight);
    return flight;
}

static void wait_landed(struct flight *flight)
{
    test_lock();
    while (!flight->is_done)
        test_wait();
    test_unlock();
}

static struct answer flight_done(struct flight *flight)
{
    struct answer answer = flight->answer;
    wire_arena_done(&flight->arena);
    free(flight);
    return answer;
}

static struct flight *message_begin(
    size_t node, const char *method, const void *request, const ProtobufCMessageDescriptor *response)
{
    size_t size = wire_packed_size(request);
    uint8_t *data = xmalloc(size + 1);
    wire_pack_into(request, data);
    struct flight *flight = call_begin(node, method, data, size, response);
    free(data);
    return flight;
}

static ProtobufCBinaryData bytes(const void *data, size_t size)
{
    return (ProtobufCBinaryData){size, (uint8_t *)(uintptr_t)data}; /* packing only reads it */
}

static ProtobufCBinaryData text_bytes(const char *text)
{
    return bytes(text, text ? strlen(text) : 0);
}

struct flight *ask_begin(size_t node, const struct request *request)
{
    Histrio__V1__AskRequest message = HISTRIO__V1__ASK_REQUEST__INIT;
    message.actor = (char *)(uintptr_t)request->actor;
    message.method = (char *)(uintptr_t)request->method;
    message.arguments = bytes(request->value, request->size);
    message.timeout_ms = request->timeout_ms;
    message.credential = text_bytes(request->credential);
    message.trace = (char *)(uintptr_t)(request->trace ? request->trace : "");
    return message_begin(node, "Ask", &message, &histrio__v1__ask_response__descriptor);
}

struct answer ask_end(struct flight *flight)
{
    wait_landed(flight);
    if (flight->response)
        fill_ask(&flight->answer, (const Histrio__V1__AskResponse *)flight->response);
    return flight_done(flight);
}

struct answer ask_request(size_t node, const struct request *request)
{
    return ask_end(ask_begin(node, request));
}

struct answer ask(size_t node, const char *actor, const char *method, uint32_t timeout_ms)
{
    return ask_request(node, &(struct request){.actor = actor, .method = method, .timeout_ms = timeout_ms});
}

struct answer tell_request(size_t node, const struct request *request)
{
    Histrio__V1__TellRequest message = HISTRIO__V1__TELL_REQUEST__INIT;
    message.actor = (char *)(uintptr_t)request->actor;
    message.method = (char *)(uintptr_t)request->method;
    message.arguments = bytes(request->value, request->size);
    message.credential = text_bytes(request->credential);
    message.trace = (char *)(uintptr_t)(request->trace ? request->trace : "");
    struct flight *flight = message_begin(node, "Tell", &message, &histrio__v1__tell_response__descriptor);
    wait_landed(flight);
    const Histrio__V1__TellResponse *response = (const Histrio__V1__TellResponse *)flight->response;
    if (response) {
        flight->answer.error = (enum histrio_error)response->error;
        set_text(flight->answer.text, sizeof(flight->answer.text), response->text);
    }
    return flight_done(flight);
}

struct answer tell(size_t node, const char *actor, const char *method)
{
    return tell_request(node, &(struct request){.actor = actor, .method = method});
}

struct answer call_bytes(size_t node, const char *method, const void *data, size_t size)
{
    struct flight *flight = call_begin(node, method, data, size, &histrio__v1__ask_response__descriptor);
    wait_landed(flight);
    return flight_done(flight);
}

void list(size_t node, const char *path, char *ret_text, size_t size)
{
    Histrio__V1__ListRequest message = HISTRIO__V1__LIST_REQUEST__INIT;
    size_t used = 0;
    message.path = (char *)(uintptr_t)path;
    struct flight *flight = message_begin(node, "List", &message, &histrio__v1__list_response__descriptor);
    wait_landed(flight);
    assert_int_equal(flight->answer.code, RPC_OK);
    const Histrio__V1__ListResponse *response = (const Histrio__V1__ListResponse *)flight->response;
    ret_text[0] = '\0';
    for (size_t i = 0; i < response->n_actors && used < size; i++)
        used += (size_t)snprintf(
            ret_text + used, size - used, "%s %s\n", response->actors[i]->actor, response->actors[i]->state);
    (void)flight_done(flight);
}
