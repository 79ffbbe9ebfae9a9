#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "kube/http_private.h"

enum {
    CONNECT_TIMEOUT_MS = 5000,
    KEEP_ALIVE_IDLE_S = 15,
    KEEP_ALIVE_INTERVAL_S = 5,
    UNACKNOWLEDGED_MAX_MS = 30 * 1000, /* as client-go's pings: a peer that is gone is noticed in that time */
    RETRY_AFTER_S_MAX = 3600,
    WARNINGS_MAX = 16,
    WARNING_BYTES_MAX = 1024,
    URL_BYTES_MAX = 64 * 1024,
};

/* ---- the head of an answer ---- */

/* The text of `299 - "text"` (RFC 9111, 5.5), NULL when it is not of that form. The caller frees it. */
static char *warning_text(const char *value)
{
    const char *at = strchr(value, '"');
    _cleanup_(str_done) struct str text = STR_INIT(WARNING_BYTES_MAX);
    if (!at)
        return NULL;
    for (at++; *at && *at != '"'; at++) {
        if (*at == '\\' && at[1])
            at++;
        str_append_char(&text, (unsigned char)*at < ' ' ? ' ' : *at);
    }
    return *at == '"' && text.size > 0 ? str_steal(&text) : NULL;
}

static size_t read_warnings(CURL *easy, char **warnings)
{
    struct curl_header *header;
    size_t count = 0;
    for (size_t index = 0; index < WARNINGS_MAX; index++) {
        if (curl_easy_header(easy, "Warning", index, CURLH_HEADER, -1, &header) != CURLHE_OK)
            break;
        char *text = warning_text(header->value);
        if (text)
            warnings[count++] = text;
    }
    return count;
}

static void tell_head(struct kube_http_call *call)
{
    struct curl_header *type;
    char *warnings[WARNINGS_MAX + 1] = {0};
    curl_off_t retry_after_s = 0;
    long code = 0;
    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &code);
    (void)curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    if (retry_after_s > RETRY_AFTER_S_MAX)
        retry_after_s = RETRY_AFTER_S_MAX;
    size_t count = read_warnings(call->easy, warnings);
    /* The last one asked for: its value is valid until the next question. */
    bool has_type = curl_easy_header(call->easy, "Content-Type", 0, CURLH_HEADER, -1, &type) == CURLHE_OK;
    struct kube_http_head head = {.code = (int)code,
        .content_type = has_type ? type->value : "",
        .retry_after_ms = retry_after_s * 1000,
        .warnings = (const char *const *)warnings};
    call->has_head = true;
    if (call->events->head)
        call->events->head(&head, call->ctx);
    for (size_t at = 0; at < count; at++)
        free(warnings[at]);
}

/* ---- what curl calls ---- */

/* A line; the empty one ends the head. Interim answers (1xx) have heads as well, trailers come after the
 * body. */
static size_t on_header(char *line, size_t unit, size_t size, void *ctx)
{
    struct kube_http_call *call = ctx;
    long code = 0;
    bool is_end = size > 0 && (line[0] == '\r' || line[0] == '\n');
    (void)unit; /* always 1 */
    if (call->is_canceled)
        return 0;
    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &code);
    if (is_end && code >= 200 && !call->has_head)
        tell_head(call);
    return call->is_canceled ? 0 : size;
}

static size_t on_body(char *data, size_t unit, size_t size, void *ctx)
{
    struct kube_http_call *call = ctx;
    (void)unit; /* always 1 */
    if (call->is_canceled)
        return 0;
    if (call->bytes_max && size > call->bytes_max - call->bytes) {
        (void)err_set(&call->failure, ERR_LIMIT, "the answer has more than %zu bytes", call->bytes_max);
        return 0;
    }
    call->bytes += size;
    if (size > 0)
        call->events->data(data, size, call->ctx);
    return call->is_canceled ? 0 : size;
}

/* Without a way to go back, curl cannot send a body for a second time on another connection. */
static size_t on_read(char *buffer, size_t unit, size_t size, void *ctx)
{
    struct kube_http_call *call = ctx;
    size_t left = call->body_size - call->body_sent;
    if (size > left)
        size = left;
    (void)unit; /* always 1 */
    if (size > 0)
        memcpy(buffer, call->body + call->body_sent, size);
    call->body_sent += size;
    return size;
}

static int on_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
    unsigned unacknowledged_ms = UNACKNOWLEDGED_MAX_MS;
    (void)ctx;
    (void)purpose; /* always of a connection */
    /* Without it a connection is kept for 15 minutes after the other side has vanished. Not TCP: no matter.
     */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof(unacknowledged_ms));
    return CURL_SOCKOPT_OK;
}

/* ---- making one ---- */

static void add_header(struct kube_http_call *call, const char *line)
{
    struct curl_slist *longer = curl_slist_append(call->headers, line);
    if (longer) /* else out of memory: the next allocation says so */
        call->headers = longer;
}

/* The URL's host becomes the name to be checked; where to connect and the Host header stay. */
static int rename_host(struct kube_http_call *call, const char *url)
{
    char *host = NULL, *port = NULL, *renamed = NULL;
    CURLU *parts = curl_url();
    bool is_fine = parts && curl_url_set(parts, CURLUPART_URL, url, CURLU_PATH_AS_IS) == CURLUE_OK &&
                   curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                   curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                   curl_url_set(parts, CURLUPART_HOST, call->tls->server_name, 0) == CURLUE_OK &&
                   curl_url_get(parts, CURLUPART_URL, &renamed, 0) == CURLUE_OK;
    if (is_fine) {
        _cleanup_(cleanup_free) char *to = xasprintf("::%s:%s", host, port);
        _cleanup_(cleanup_free) char *header = xasprintf("Host: %s:%s", host, port);
        call->connect_to = curl_slist_append(NULL, to);
        add_header(call, header);
        (void)curl_easy_setopt(call->easy, CURLOPT_CONNECT_TO, call->connect_to);
        (void)curl_easy_setopt(call->easy, CURLOPT_URL, renamed);
    } else {
        (void)err_set(&call->failure, ERR_INVALID,
            "cannot use server name \"%.100s\" with the URL \"%.100s\"", call->tls->server_name, url);
    }
    curl_free(host);
    curl_free(port);
    curl_free(renamed);
    curl_url_cleanup(parts);
    return is_fine ? 0 : -1;
}

static void apply_connection(struct kube_http_call *call, const struct kube_http_request *request)
{
    CURL *easy = call->easy;
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEP_ALIVE_IDLE_S);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEP_ALIVE_INTERVAL_S);
    (void)curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
    (void)curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (request->proxy)
        (void)curl_easy_setopt(easy, CURLOPT_PROXY, request->proxy);
    if (request->timeout_ms > 0)
        (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    if (call->tls)
        kube_http_tls_apply(call);
    else /* or requests would wait for each other, to find out that they cannot share a connection */
        (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
}

static void apply_request(struct kube_http_call *call, const struct kube_http_request *request)
{
    CURL *easy = call->easy;
    (void)curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_URL, request->url);
    for (const char *const *line = request->headers; line && *line; line++)
        add_header(call, *line);
    add_header(call, "Expect:"); /* no round trip before a large body */
    if (call->tls && call->tls->server_name)
        (void)rename_host(call, request->url); /* call->failure says it */
    if (request->body || strcmp(request->method, "POST") == 0) {
        (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
        (void)curl_easy_setopt(easy, CURLOPT_READDATA, call);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_size);
    }
    if (strcmp(request->method, "GET") != 0)
        (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_text);
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
}

struct kube_http_call *kube_http_start(struct kube_http *http, const struct kube_http_request *request,
    const struct kube_http_events *events, void *ctx)
{
    assert(kube_http_is_own_thread(http));
    struct kube_http_call *call = xcalloc(1, sizeof(*call));
    call->http = http;
    call->events = events;
    call->ctx = ctx;
    call->bytes_max = request->bytes_max;
    call->tls = request->tls ? kube_http_tls_ref(request->tls) : NULL;
    call->body = request->body ? xmemdup(request->body, request->body_size) : NULL;
    call->body_size = request->body ? request->body_size : 0;
    call->easy = curl_easy_init();
    list_push_back(&http->begun, &call->node);
    if (!call->easy) {
        (void)err_set(&call->failure, ERR_SYSTEM, "libcurl gives no handle");
    } else if (strlen(request->url) > URL_BYTES_MAX) {
        (void)err_set(&call->failure, ERR_LIMIT, "the URL has more than %d bytes", URL_BYTES_MAX);
    } else {
        apply_connection(call, request);
        apply_request(call, request);
    }
    return call;
}

void kube_http_call_add(struct kube_http_call *call)
{
    struct kube_http *http = call->http;
    list_push_back(&http->calls, &call->node);
    if (call->failure.kind == ERR_NONE && curl_multi_add_handle(http->multi, call->easy) != CURLM_OK)
        (void)err_set(&call->failure, ERR_SYSTEM, "libcurl does not take the request");
    if (call->failure.kind != ERR_NONE)
        kube_http_call_end(call, CURLE_OK);
}

/* ---- its end ---- */

static enum err_kind kind_of(CURLcode code)
{
    if (code == CURLE_OPERATION_TIMEDOUT)
        return ERR_TIMEOUT;
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CERTPROBLEM ||
        code == CURLE_SSL_INVALIDCERTSTATUS || code == CURLE_SSL_ISSUER_ERROR)
        return ERR_DENIED;
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ||
        code == CURLE_BAD_FUNCTION_ARGUMENT || code == CURLE_SSL_CACERT_BADFILE)
        return ERR_INVALID;
    return ERR_UNAVAILABLE;
}

static void fail_by_curl(struct kube_http_call *call, CURLcode code, bool was_sent)
{
    const char *text = *call->curl_text ? call->curl_text : curl_easy_strerror(code);
    enum err_kind kind = kind_of(code);
    if (kind == ERR_TIMEOUT)
        call->http->generation++; /* the connection may be dead without showing it */
    if (kind == ERR_TIMEOUT && !was_sent)
        kind = ERR_UNAVAILABLE;
    if (code == CURLE_SEND_FAIL_REWIND)
        text = "the connection broke while the request was under way";
    (void)err_set(&call->failure, kind, "%s", text);
}

void kube_http_call_end(struct kube_http_call *call, CURLcode code)
{
    long request_size = 0;
    if (call->easy)
        (void)curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &request_size);
    bool was_sent = request_size > 0;
    if (code != CURLE_OK && call->failure.kind == ERR_NONE)
        fail_by_curl(call, code, was_sent);
    if (call->failure.kind == ERR_NONE && !call->has_head)
        tell_head(call); /* HTTP/0.9 is refused by curl, so there is one */
    list_remove(&call->node);
    if (!call->is_canceled)
        call->events->end(call->failure.kind == ERR_NONE ? NULL : &call->failure, was_sent, call->ctx);
    kube_http_call_free(call);
}

void kube_http_cancel(struct kube_http_call *call)
{
    assert(kube_http_is_own_thread(call->http));
    call->is_canceled = true;
    list_remove(&call->node);
    list_push_back(&call->http->doomed, &call->node);
}

void kube_http_call_free(struct kube_http_call *call)
{
    if (call->easy) {
        (void)curl_multi_remove_handle(call->http->multi, call->easy); /* also when it was never added */
        curl_easy_cleanup(call->easy);
    }
    curl_slist_free_all(call->headers);
    curl_slist_free_all(call->connect_to);
    kube_http_tls_unref(call->tls);
    if (call->body)
        explicit_bzero(call->body, call->body_size);
    free(call->body);
    free(call->authorities);
    free(call);
}
