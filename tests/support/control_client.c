#include "support/control_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/role.h"
#include "base/vec.h"
#include "rpc/client.h"
#include "rpc/loop.h"
#include "support/node_process.h"
#include "wire/wire.h"

#define SESSION_PATH "/histrio.v1.Control/Session"

enum { WAIT_MS = 10000, RANK_CONTROL_CLIENT = 1, CODE_NONE = -1 };

struct control_client {
    struct rpc_loop *loop;
    struct rpc_client *client;
    struct rpc_stream *stream; /* loop's thread */
    struct control_client_config config;
    struct mutex lock;
    struct condition changed;
    VEC(Histrio__V1__NodeMessage *) received GUARDED_BY(&lock);
    size_t first GUARDED_BY(&lock); /* what was not forgotten */
    int code GUARDED_BY(&lock);     /* CODE_NONE: still open */
    bool gives_echoes GUARDED_BY(&lock);
};

/* Loop's thread. */
static void write_message(struct control_client *client, const Histrio__V1__OperatorMessage *message)
{
    struct rpc_buffer *buffer = rpc_buffer_new(wire_packed_size(message));
    wire_pack_into(message, rpc_buffer_data(buffer));
    (void)rpc_stream_write_take(
        client->stream, buffer, NULL); /* an ended stream: the test sees it by its code */
}

static void say_hello(struct control_client *client)
{
    Histrio__V1__OperatorMessage message = HISTRIO__V1__OPERATOR_MESSAGE__INIT;
    Histrio__V1__Hello hello = HISTRIO__V1__HELLO__INIT;
    const struct control_client_config *config = &client->config;
    hello.protocol_min = hello.protocol_max = config->protocol ? config->protocol : 1;
    hello.system = (char *)(uintptr_t)(config->system ? config->system : NODE_SYSTEM); /* only read */
    hello.system_uid = (char *)(uintptr_t)(config->system_uid ? config->system_uid : NODE_SYSTEM_UID);
    hello.credential.data = (uint8_t *)(uintptr_t)(config->credential ? config->credential : node_credential);
    hello.credential.len = config->creds ? 0 : sizeof(node_credential);
    message.term = config->term;
    message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_HELLO;
    message.hello = &hello;
    write_message(client, &message);
}

static void echo(struct control_client *client, const Histrio__V1__NodeMessage *request)
{
    Histrio__V1__OperatorMessage message = HISTRIO__V1__OPERATOR_MESSAGE__INIT;
    Histrio__V1__LeaseEcho answer = HISTRIO__V1__LEASE_ECHO__INIT;
    answer.node_uid = request->node_uid;
    answer.nonce = request->lease->nonce;
    message.term = client->config.term;
    message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_ECHO;
    message.echo = &answer;
    write_message(client, &message);
}

static void handle_message(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    struct control_client *client = ctx;
    (void)stream;
    Histrio__V1__NodeMessage *message = histrio__v1__node_message__unpack(NULL, size, data);
    if (!message)
        abort(); /* our own node said something that is not its protocol */
    bool is_lease = message->body_case == HISTRIO__V1__NODE_MESSAGE__BODY_LEASE;
    mutex_lock(&client->lock);
    bool gives_echo = client->gives_echoes && is_lease;
    mutex_unlock(&client->lock);
    if (gives_echo)
        echo(client, message);
    mutex_lock(&client->lock);
    vec_push(&client->received, message);
    condition_broadcast(&client->changed);
    mutex_unlock(&client->lock);
}

static void handle_closed(struct rpc_stream *stream, const struct rpc_status *status, void *ctx)
{
    struct control_client *client = ctx;
    (void)stream;
    mutex_lock(&client->lock);
    client->code = (int)status->code;
    condition_broadcast(&client->changed);
    mutex_unlock(&client->lock);
}

static void open_stream(void *ctx)
{
    static const struct rpc_stream_events events = {.message = handle_message, .closed = handle_closed};
    struct control_client *client = ctx;
    client->stream = rpc_client_open(client->client, SESSION_PATH, 0, !client->config.has_one_try);
    rpc_stream_listen(client->stream, &events, client);
    say_hello(client);
}

struct control_client *control_client_new(const struct control_client_config *config)
{
    struct control_client *client = xcalloc(1, sizeof(*client));
    char server_name[ROLE_NAME_BYTES];
    struct rpc_client_config client_config = {.address = config->address,
        .creds = config->creds,
        .server_name =
            config->server_name ? config->server_name : role_name(ROLE_NODE, NODE_SYSTEM_UID, server_name)};
    client->config = *config;
    mutex_init(&client->lock, RANK_CONTROL_CLIENT, "control_client");
    mutex_lock(&client->lock);
    client->gives_echoes = !config->gives_no_echoes;
    client->code = CODE_NONE;
    mutex_unlock(&client->lock);
    condition_init(&client->changed);
    assert_int_equal(rpc_loop_new("operator", &client->loop, NULL), 0);
    assert_int_equal(rpc_client_new(client->loop, &client_config, &client->client, NULL), 0);
    rpc_loop_call(client->loop, open_stream, client);
    return client;
}

static void free_stream(void *ctx)
{
    struct control_client *client = ctx;
    rpc_stream_free(client->stream);
}

void control_client_free(struct control_client *client)
{
    if (!client)
        return;
    rpc_loop_call(client->loop, free_stream, client);
    rpc_client_free(client->client);
    rpc_loop_free(client->loop);
    vec_for_each (message, &client->received)
        histrio__v1__node_message__free_unpacked(*message, NULL);
    vec_done(&client->received);
    condition_done(&client->changed);
    mutex_done(&client->lock);
    free(client);
}

struct outgoing {
    struct control_client *client;
    const void *data;
    size_t size;
};

static void write_outgoing(void *ctx)
{
    struct outgoing *outgoing = ctx;
    (void)rpc_stream_write(
        outgoing->client->stream, outgoing->data, outgoing->size, NULL); /* as write_message() */
}

void control_client_send_bytes(struct control_client *client, const void *data, size_t size)
{
    struct outgoing outgoing = {client, data, size};
    rpc_loop_call(client->loop, write_outgoing, &outgoing);
}

void control_client_send(struct control_client *client, Histrio__V1__OperatorMessage *message)
{
    uint8_t *data = NULL;
    size_t size = 0;
    if (message->term == 0)
        message->term = client->config.term;
    assert_int_equal(wire_pack(message, 1024 * 1024, &data, &size, NULL), 0);
    control_client_send_bytes(client, data, size);
    free(data);
}

void control_client_give_echoes(struct control_client *client)
{
    mutex_lock(&client->lock);
    client->gives_echoes = true;
    mutex_unlock(&client->lock);
}

static const Histrio__V1__NodeMessage *find(
    struct control_client *client, control_client_match match, const void *ctx) REQUIRES(&client->lock)
{
    for (size_t i = client->first; i < client->received.count; i++)
        if (match(client->received.items[i], ctx))
            return client->received.items[i];
    return NULL;
}

const Histrio__V1__NodeMessage *control_client_wait(
    struct control_client *client, control_client_match match, const void *ctx, const char *what)
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + WAIT_MS * NS_PER_MS;
    const Histrio__V1__NodeMessage *found = NULL;
    bool is_in_time = true;
    mutex_lock(&client->lock);
    while (is_in_time && !(found = find(client, match, ctx)) && client->code == CODE_NONE)
        is_in_time = condition_wait_until(&client->changed, &client->lock, deadline_ns);
    int code = client->code;
    mutex_unlock(&client->lock);
    if (!found)
        fail_msg("%s did not come; the stream's status is %d", what, code);
    return found;
}

void control_client_forget(struct control_client *client)
{
    mutex_lock(&client->lock);
    client->first = client->received.count;
    mutex_unlock(&client->lock);
}

bool control_client_is_closed(struct control_client *client)
{
    mutex_lock(&client->lock);
    bool is_closed = client->code != CODE_NONE;
    mutex_unlock(&client->lock);
    return is_closed;
}

int control_client_wait_closed(struct control_client *client)
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + WAIT_MS * NS_PER_MS;
    bool is_in_time = true;
    mutex_lock(&client->lock);
    while (is_in_time && client->code == CODE_NONE)
        is_in_time = condition_wait_until(&client->changed, &client->lock, deadline_ns);
    int code = client->code;
    mutex_unlock(&client->lock);
    if (code == CODE_NONE)
        fail_msg("the node did not end the stream");
    return code;
}

static bool is_hello(const Histrio__V1__NodeMessage *message, const void *ctx)
{
    (void)ctx;
    return message->body_case == HISTRIO__V1__NODE_MESSAGE__BODY_HELLO;
}

const Histrio__V1__NodeHello *control_client_hello(struct control_client *client)
{
    return control_client_wait(client, is_hello, NULL, "hello")->hello;
}
