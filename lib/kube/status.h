/* Why an API server refused: the object Status (meta/v1) as a struct. Decisions go by reason, never by text.
 */
#ifndef KUBE_STATUS_H
#define KUBE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct json;

/* metav1.StatusReason, and what is known from the causes (the last two). */
enum kube_reason {
    KUBE_REASON_NONE,    /* no refusal */
    KUBE_REASON_UNKNOWN, /* refused with a reason that is not in this list */
    KUBE_REASON_BAD_REQUEST,
    KUBE_REASON_UNAUTHORIZED,
    KUBE_REASON_FORBIDDEN,
    KUBE_REASON_NOT_FOUND,
    KUBE_REASON_METHOD_NOT_ALLOWED, /* also "MethodNotSupported" */
    KUBE_REASON_NOT_ACCEPTABLE,
    KUBE_REASON_ALREADY_EXISTS,
    KUBE_REASON_CONFLICT,
    KUBE_REASON_GONE,
    KUBE_REASON_EXPIRED, /* the resource version or continue token is too old */
    KUBE_REASON_TOO_LARGE,
    KUBE_REASON_UNSUPPORTED_MEDIA_TYPE,
    KUBE_REASON_INVALID,
    KUBE_REASON_TOO_MANY_REQUESTS,
    KUBE_REASON_INTERNAL_ERROR,
    KUBE_REASON_SERVICE_UNAVAILABLE,
    KUBE_REASON_TIMEOUT,                    /* the server gave up: it may have been done */
    KUBE_REASON_SERVER_TIMEOUT,             /* not done: try again */
    KUBE_REASON_NAMESPACE_TERMINATING,      /* Forbidden with that cause: nothing can be created any more */
    KUBE_REASON_RESOURCE_VERSION_TOO_LARGE, /* Timeout with that cause: the server has not seen that version
                                             */
};

struct kube_cause {
    char *reason;  /* "FieldValueInvalid" */
    char *field;   /* "spec.replicas"; "" when the server said none */
    char *message; /* never NULL */
};

enum { KUBE_CAUSES_MAX = 32 }; /* later ones are left out */

/* A zeroed struct is "no refusal". Texts are never NULL once it is filled. */
struct kube_status {
    enum kube_reason reason;
    int code;               /* of HTTP */
    int64_t retry_after_ms; /* 0: the server did not say */
    char *message;
    char *continue_token; /* of Expired lists: go on with this one, though not of one moment; NULL when there
                             is none */
    struct kube_cause *causes;
    size_t cause_count;
};

void kube_status_done(struct kube_status *status);

/* From the tree of a Status, also of a watch's ERROR event. ERR_INVALID when it is none. */
int kube_status_decode(const struct json *object, struct kube_status *ret_status, struct err *err);

/* From an answer that is not 2xx. A body that is no Status (a proxy's page) gives a reason by the code and
 * the beginning of the body as message. */
void kube_status_from_answer(
    int code, const char *body, size_t size, int64_t retry_after_ms, struct kube_status *ret_status);

/* Fills err: kind by reason (NOT_FOUND, ALREADY_EXISTS and CONFLICT -> ERR_CONFLICT, GONE and EXPIRED ->
 * ERR_EXPIRED, FORBIDDEN and UNAUTHORIZED -> ERR_DENIED, TOO_MANY_REQUESTS -> ERR_BUSY, ...), text "NotFound:
 * pods \"a\" not found", retry_after_ms. Returns -1. */
int kube_status_error(const struct kube_status *status, struct err *err);

/* "NotFound", ... as the API writes it. */
const char *kube_reason_name(enum kube_reason reason);

#endif
