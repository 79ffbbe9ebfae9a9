/* struct status as the JSON document that users see: the status of the ActorSystem object, and for local runs
 * units[], actorStatuses[] and exits[] as well. Fields: docs/status.md. Pure. */
#ifndef API_STATUS_JSON_H
#define API_STATUS_JSON_H

struct json;
struct status;

enum { STATUS_RECENT_EXITS_MAX = 10 };

enum status_form {
    STATUS_FOR_API, /* at most 100 nodeStatuses and the last STATUS_RECENT_EXITS_MAX exits as recentExits:
                       bounded */
    STATUS_FOR_RUN, /* everything */
};

/* A tree that the caller frees. Epochs and uids are texts: "1.7", "00c0ffee00c0ffee". Times are RFC 3339 in
 * UTC.
 */
struct json *status_to_json(const struct status *status, enum status_form form);

#endif
