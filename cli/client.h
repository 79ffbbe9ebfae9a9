/* cli/client.h: what the CLI asks of a run (service Run) and of the gateways of its nodes. The only file of
 * the CLI that knows the protocol. Thread: one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct client;
struct err;
struct json;

/* ERR_NOT_FOUND: no such system runs. */
int client_new(const char *system, struct client **ret_client, struct err *err);
void client_free(struct client *client);

/* The whole status document. */
int client_status(struct client *client, struct json **ret_status, struct err *err);

/* Why a unit is where it is. ERR_NOT_FOUND: no such unit. */
int client_explain(struct client *client, const char *unit, struct json **ret_explanation, struct err *err);
int client_resume(struct client *client, const char *unit, struct err *err);
/* Asks the run to stop; 0: the manifest's timeout. Does not wait for its end. */
int client_stop(struct client *client, uint32_t drain_timeout_ms, struct err *err);

/* What an actor, or the gateway in its place, answered. */
struct client_answer {
    int error; /* of common.proto; 0: none */
    char *text;
    uint8_t *value; /* msgpack */
    size_t size;
    char *node;
};

struct client_message {
    const char *gateway; /* address of a node's gateway */
    const char *actor;   /* without the system */
    const char *method;
    const uint8_t *arguments; /* msgpack; size 0: nil */
    size_t size;
    uint32_t timeout_ms; /* of an ask */
};

/* -1: the gateway could not be asked; ERR_UNAVAILABLE: nothing was sent. */
int client_ask(struct client *client, const struct client_message *message, struct client_answer *ret_answer,
    struct err *err);
int client_tell(struct client *client, const struct client_message *message, struct client_answer *ret_answer,
    struct err *err);
void client_answer_done(struct client_answer *answer);
