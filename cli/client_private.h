/* cli/client_private.h: what kinds of client have in common; private to cli/client*.c. */
#pragma once

#include "cli/client.h"

/* The first member of each kind. */
struct client {
    void (*free)(struct client *client);
    int (*status)(struct client *client, struct json **ret_status, struct err *err);
    int (*explain)(struct client *client, const char *unit, struct json **ret_explanation,
        struct err *err); /* NULL: cannot */
    int (*request)(struct client *client, const struct client_request *request, struct err *err);
    int (*stop)(struct client *client, uint32_t drain_timeout_ms, struct err *err); /* NULL: cannot */
    int (*send)(struct client *client, const struct client_message *message, bool is_ask,
        struct client_answer *ret_answer, struct err *err);
    int (*logs)(struct client *client, const struct client_log_request *request, struct err *err);
};

int client_run_new(const char *system, struct client **ret_client, struct err *err);
int client_run_list(void (*failed)(const char *system, const struct err *err, void *ctx), void *ctx,
    struct json **ret_statuses, struct err *err);
int client_cluster_new(
    const struct client_place *place, const char *system, struct client **ret_client, struct err *err);
int client_cluster_list(const struct client_place *place, struct json **ret_statuses, struct err *err);
