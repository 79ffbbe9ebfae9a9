/* support/control_client.h: an operator for tests: one Control stream to one node, that says what the test
 * wants, gives echoes by itself, and keeps all that the node said. Failures of set-up fail the cmocka test.
 *
 * Thread: the test's; the stream itself lives on a loop of its own. */
#pragma once

#include <histrio/v1/control.pb-c.h>
#include <stdbool.h>
#include <stdint.h>

struct control_client;
struct rpc_creds;

struct control_client_config {
    const char *address;
    const char *system;     /* NULL: the one of node_process.h */
    const char *system_uid; /* NULL: the right one; what hello says */
    const char
        *server_name; /* with creds: as whom the node must show itself; NULL: a node of the right system */
    const uint8_t *credential; /* NULL: the right one, of 16 bytes */
    uint64_t term;
    uint32_t protocol; /* 0: 1 */
    bool gives_no_echoes;
    struct rpc_creds *creds; /* NULL: plaintext, and the credential; else none is shown */
    bool has_one_try;        /* a connection that fails ends the stream: else it is tried again for ever */
};

/* Dials, waiting until the node listens, and says hello. */
struct control_client *control_client_new(const struct control_client_config *config);
void control_client_free(struct control_client *client);

/* Sends with the term of `message`, or that of the config where it is 0. */
void control_client_send(struct control_client *client, Histrio__V1__OperatorMessage *message);
void control_client_send_bytes(struct control_client *client, const void *data, size_t size);
/* Gives echoes from now on. */
void control_client_give_echoes(struct control_client *client);

typedef bool (*control_client_match)(const Histrio__V1__NodeMessage *message, const void *ctx);
/* The first message that matches, also one that came before; fails the test when none comes in time. Valid
 * until control_client_forget() or _free(). */
const Histrio__V1__NodeMessage *control_client_wait(
    struct control_client *client, control_client_match match, const void *ctx, const char *what);
/* What came until now does not match any more. */
void control_client_forget(struct control_client *client);

/* The status with which the stream ended (enum rpc_code). */
int control_client_wait_closed(struct control_client *client);
bool control_client_is_closed(struct control_client *client);

/* What the node said first. */
const Histrio__V1__NodeHello *control_client_hello(struct control_client *client);
