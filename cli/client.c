#include "cli/client.h"

#include "base/err.h"
#include "cli/client_private.h"

#include <stdlib.h>

int client_new(
    const struct client_place *place, const char *system, struct client **ret_client, struct err *err)
{
    return place->is_cluster ? client_cluster_new(place, system, ret_client, err)
                             : client_run_new(system, ret_client, err);
}

void client_free(struct client *client)
{
    if (client)
        client->free(client);
}

int client_list(const struct client_place *place,
    void (*failed)(const char *system, const struct err *err, void *ctx), void *ctx,
    struct json **ret_statuses, struct err *err)
{
    return place->is_cluster ? client_cluster_list(place, ret_statuses, err)
                             : client_run_list(failed, ctx, ret_statuses, err);
}

int client_status(struct client *client, struct json **ret_status, struct err *err)
{
    return client->status(client, ret_status, err);
}

int client_explain(struct client *client, const char *unit, struct json **ret_explanation, struct err *err)
{
    if (!client->explain)
        return err_set(err, ERR_INVALID,
            "the operator of a cluster does not tell candidates and scores: \"describe\" shows node, rule "
            "and "
            "reason");
    return client->explain(client, unit, ret_explanation, err);
}

int client_request(struct client *client, const struct client_request *request, struct err *err)
{
    return client->request(client, request, err);
}

int client_stop(struct client *client, uint32_t drain_timeout_ms, struct err *err)
{
    if (!client->stop)
        return err_set(err, ERR_INVALID,
            "a system of a cluster is stopped by \"kubectl delete actorsystem\", or paused by spec.suspend");
    return client->stop(client, drain_timeout_ms, err);
}

int client_ask(struct client *client, const struct client_message *message, struct client_answer *ret_answer,
    struct err *err)
{
    return client->send(client, message, true, ret_answer, err);
}

int client_tell(struct client *client, const struct client_message *message, struct client_answer *ret_answer,
    struct err *err)
{
    return client->send(client, message, false, ret_answer, err);
}

void client_answer_done(struct client_answer *answer)
{
    free(answer->text);
    free(answer->value);
    free(answer->node);
    *answer = (struct client_answer){0};
}

int client_logs(struct client *client, const struct client_log_request *request, struct err *err)
{
    return client->logs(client, request, err);
}
