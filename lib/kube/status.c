#include "kube/status.h"

#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"

enum { MESSAGE_BYTES_MAX = 4096, BODY_BYTES_SHOWN = 200, RETRY_AFTER_S_MAX = 3600 };

/* In the order of the enum: what the API writes, and what it means to a caller that only knows struct err. */
static const struct {
    const char *name;
    int code; /* for answers without a Status; 0: none leads to it */
    enum err_kind kind;
} REASONS[] = {
    [KUBE_REASON_NONE] = {"", 0, ERR_NONE},
    [KUBE_REASON_UNKNOWN] = {"Unknown", 0, ERR_UNAVAILABLE},
    [KUBE_REASON_BAD_REQUEST] = {"BadRequest", 400, ERR_INVALID},
    [KUBE_REASON_UNAUTHORIZED] = {"Unauthorized", 401, ERR_DENIED},
    [KUBE_REASON_FORBIDDEN] = {"Forbidden", 403, ERR_DENIED},
    [KUBE_REASON_NOT_FOUND] = {"NotFound", 404, ERR_NOT_FOUND},
    [KUBE_REASON_METHOD_NOT_ALLOWED] = {"MethodNotAllowed", 405, ERR_INVALID},
    [KUBE_REASON_NOT_ACCEPTABLE] = {"NotAcceptable", 406, ERR_INVALID},
    [KUBE_REASON_ALREADY_EXISTS] = {"AlreadyExists", 0, ERR_CONFLICT},
    [KUBE_REASON_CONFLICT] = {"Conflict", 409, ERR_CONFLICT},
    [KUBE_REASON_GONE] = {"Gone", 410, ERR_EXPIRED},
    [KUBE_REASON_EXPIRED] = {"Expired", 0, ERR_EXPIRED},
    [KUBE_REASON_TOO_LARGE] = {"RequestEntityTooLarge", 413, ERR_LIMIT},
    [KUBE_REASON_UNSUPPORTED_MEDIA_TYPE] = {"UnsupportedMediaType", 415, ERR_INVALID},
    [KUBE_REASON_INVALID] = {"Invalid", 422, ERR_INVALID},
    [KUBE_REASON_TOO_MANY_REQUESTS] = {"TooManyRequests", 429, ERR_BUSY},
    [KUBE_REASON_INTERNAL_ERROR] = {"InternalError", 500, ERR_UNAVAILABLE},
    [KUBE_REASON_SERVICE_UNAVAILABLE] = {"ServiceUnavailable", 503, ERR_UNAVAILABLE},
    [KUBE_REASON_TIMEOUT] = {"Timeout", 504, ERR_TIMEOUT},
    [KUBE_REASON_SERVER_TIMEOUT] = {"ServerTimeout", 0, ERR_UNAVAILABLE},
    [KUBE_REASON_NAMESPACE_TERMINATING] = {"NamespaceTerminating", 0, ERR_DENIED},
    [KUBE_REASON_RESOURCE_VERSION_TOO_LARGE] = {"ResourceVersionTooLarge", 0, ERR_EXPIRED},
};
enum { REASON_COUNT = sizeof(REASONS) / sizeof(REASONS[0]) };

const char *kube_reason_name(enum kube_reason reason)
{
    return REASONS[reason].name;
}

static enum kube_reason reason_by_code(int code)
{
    for (size_t at = 0; at < REASON_COUNT; at++) {
        if (REASONS[at].code && REASONS[at].code == code)
            return (enum kube_reason)at;
    }
    if (code == 502)
        return KUBE_REASON_SERVICE_UNAVAILABLE;
    return code >= 500 ? KUBE_REASON_INTERNAL_ERROR : KUBE_REASON_UNKNOWN;
}

static enum kube_reason reason_by_name(const char *name, int code)
{
    if (text_equal(name, "MethodNotSupported"))
        return KUBE_REASON_METHOD_NOT_ALLOWED;
    for (size_t at = KUBE_REASON_BAD_REQUEST; at < KUBE_REASON_NAMESPACE_TERMINATING; at++) {
        if (text_equal(name, REASONS[at].name))
            return (enum kube_reason)at;
    }
    return *name ? KUBE_REASON_UNKNOWN : reason_by_code(code);
}

static void cause_done(struct kube_cause *cause)
{
    free(cause->reason);
    free(cause->field);
    free(cause->message);
}

void kube_status_done(struct kube_status *status)
{
    free(status->message);
    free(status->continue_token);
    for (size_t at = 0; at < status->cause_count; at++)
        cause_done(&status->causes[at]);
    free(status->causes);
    *status = (struct kube_status){0};
}

/* Cut to size_max, and one line: these texts end in logs and conditions. */
static char *text_of(const struct json *node, size_t size_max)
{
    char *text = xstrndup(json_string(node), size_max);
    for (char *at = text; *at; at++) {
        if ((unsigned char)*at < ' ')
            *at = ' ';
    }
    return text;
}

/* A cause can say more than the reason does. */
static enum kube_reason reason_with_cause(enum kube_reason reason, const struct kube_cause *cause)
{
    if (reason == KUBE_REASON_FORBIDDEN && text_equal(cause->reason, "NamespaceTerminating"))
        return KUBE_REASON_NAMESPACE_TERMINATING;
    if (reason == KUBE_REASON_TIMEOUT && text_equal(cause->reason, "ResourceVersionTooLarge"))
        return KUBE_REASON_RESOURCE_VERSION_TOO_LARGE;
    return reason;
}

static void read_causes(const struct json *causes, struct kube_status *status)
{
    size_t count = json_type(causes) == JSON_ARRAY ? json_count(causes) : 0;
    if (count > KUBE_CAUSES_MAX)
        count = KUBE_CAUSES_MAX;
    if (count > 0)
        status->causes = xcalloc(count, sizeof(*status->causes));
    for (; status->cause_count < count; status->cause_count++) {
        struct kube_cause *cause = &status->causes[status->cause_count];
        const struct json *node = json_at(causes, status->cause_count);
        cause->reason = text_of(json_get(node, "reason"), LIMIT_STATUS_TEXT_BYTES);
        cause->field = text_of(json_get(node, "field"), LIMIT_STATUS_TEXT_BYTES);
        cause->message = text_of(json_get(node, "message"), LIMIT_STATUS_TEXT_BYTES);
        status->reason = reason_with_cause(status->reason, cause);
    }
}

int kube_status_decode(const struct json *object, struct kube_status *ret_status, struct err *err)
{
    if (!text_equal(json_string(json_get(object, "kind")), "Status") ||
        !text_equal(json_string(json_get(object, "apiVersion")), "v1"))
        return err_set(err, ERR_INVALID, "not a Status of v1 but \"%.40s\" of \"%.40s\"",
            json_string(json_get(object, "kind")), json_string(json_get(object, "apiVersion")));
    if (text_equal(json_string(json_get(object, "status")), "Success"))
        return err_set(err, ERR_INVALID, "a Status of success is no refusal");
    const struct json *details = json_get(object, "details");
    int64_t code = json_int(json_get(object, "code"));
    int64_t retry_after_s = json_int(json_get(details, "retryAfterSeconds"));
    struct kube_status status = {.code = code >= 100 && code <= 999 ? (int)code : 0};
    status.reason = reason_by_name(json_string(json_get(object, "reason")), status.code);
    status.message = text_of(json_get(object, "message"), MESSAGE_BYTES_MAX);
    if (retry_after_s > RETRY_AFTER_S_MAX)
        retry_after_s = RETRY_AFTER_S_MAX;
    status.retry_after_ms = retry_after_s > 0 ? retry_after_s * 1000 : 0;
    const char *token = json_string(json_get(json_get(object, "metadata"), "continue"));
    if (*token)
        status.continue_token = xstrdup(token);
    read_causes(json_get(details, "causes"), &status);
    *ret_status = status;
    return 0;
}

/* The beginning of what may be a page of a proxy, as one line. */
static char *shown_body(int code, const char *body, size_t size)
{
    struct str text = STR_INIT(BODY_BYTES_SHOWN * 6 + 64);
    str_appendf(&text, "the answer is %d, without a Status", code);
    if (size > BODY_BYTES_SHOWN)
        size = BODY_BYTES_SHOWN;
    if (size > 0) {
        str_append(&text, ": ");
        str_append_json_bytes(&text, body, size);
    }
    return str_steal(&text);
}

void kube_status_from_answer(
    int code, const char *body, size_t size, int64_t retry_after_ms, struct kube_status *ret_status)
{
    _cleanup_(json_freep) struct json *object = NULL;
    struct kube_status status = {0};
    if (json_parse(body, size, &object, NULL) < 0 || kube_status_decode(object, &status, NULL) < 0) {
        status.reason = reason_by_code(code);
        status.message = shown_body(code, body, size);
    }
    status.code = code;
    if (retry_after_ms > status.retry_after_ms)
        status.retry_after_ms = retry_after_ms;
    *ret_status = status;
}

int kube_status_error(const struct kube_status *status, struct err *err)
{
    enum err_kind kind = REASONS[status->reason].kind;
    if (status->reason == KUBE_REASON_UNKNOWN && status->code < 500)
        kind = ERR_INVALID; /* the same request would fail again */
    (void)err_set(err, kind, "%s: %s", kube_reason_name(status->reason), status->message);
    if (err)
        err->retry_after_ms = (int)status->retry_after_ms;
    return -1;
}
