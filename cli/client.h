/* cli/client.h: what the CLI asks of a system: of a local run (service Run on its Unix socket, and the
 * gateways of its nodes) or of a cluster (objects of the Kubernetes API, and the JSON gateway behind its
 * proxy to the system's Service, so that RBAC decides). Thread: one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct err;
struct json;

/* Where systems are looked for. Texts are borrowed; NULL: not given. */
struct client_place {
    bool is_cluster; /* else runs on this machine; then the rest does not count */
    const char *namespace;
    const char *kubeconfig;
    const char *context;
    bool is_in_all_namespaces; /* of client_list() only */
};

/* ERR_NOT_FOUND: no such run. A system of a cluster is looked for when it is used. */
int client_new(
    const struct client_place *place, const char *system, struct client **ret_client, struct err *err);
void client_free(struct client *client);

/* The statuses of all systems there are, as an array. Those that cannot be read are left out and told by
 * `failed`, which may be NULL. */
int client_list(const struct client_place *place,
    void (*failed)(const char *system, const struct err *err, void *ctx), void *ctx,
    struct json **ret_statuses, struct err *err);

/* The whole status document: docs/status.md. */
int client_status(struct client *client, struct json **ret_status, struct err *err);

/* Why a unit is where it is. ERR_NOT_FOUND: no such unit. */
int client_explain(struct client *client, const char *unit, struct json **ret_explanation, struct err *err);

enum client_verb { CLIENT_RESUME, CLIENT_MOVE, CLIENT_FORGET, CLIENT_CORDON, CLIENT_UNCORDON, CLIENT_DRAIN };

struct client_request {
    enum client_verb verb;
    const char *subject; /* resume, move: the unit; else the node */
    const char *target;  /* move: the node */
};

/* On a cluster it is written down for the operator, which does it soon. */
int client_request(struct client *client, const struct client_request *request, struct err *err);

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
    const char *actor; /* without the system */
    const char *method;
    const uint8_t *arguments; /* msgpack; size 0: nil */
    size_t size;
    uint32_t timeout_ms; /* of an ask */
};

/* -1: nobody could be asked; ERR_UNAVAILABLE: nothing was sent. */
int client_ask(struct client *client, const struct client_message *message, struct client_answer *ret_answer,
    struct err *err);
int client_tell(struct client *client, const struct client_message *message, struct client_answer *ret_answer,
    struct err *err);
void client_answer_done(struct client_answer *answer);

struct client_log_request {
    const char *node;
    uint64_t lines; /* the last ones; UINT64_MAX: all */
    bool follow;    /* until the node ends */
    /* Bytes as they come, not ended by a NUL, on any thread, one call at a time. */
    void (*data)(const char *data, size_t size, void *ctx);
    void *ctx;
};

/* Only of a cluster: a local run has files. */
int client_logs(struct client *client, const struct client_log_request *request, struct err *err);
