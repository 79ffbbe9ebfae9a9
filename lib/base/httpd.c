/* An invariant of calls, for answers that race with the handler's return: `state` goes from OPEN to PARKED
 * (by the server's thread, after it suspended the connection) to ANSWERED, or straight from OPEN to ANSWERED.
 * Who answers a parked call resumes the connection; who finds the call answered when it wants to park it goes
 * on at once. */
#include "base/httpd.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    HTTPD_RANK = 960, /* docs/locks.md */
    CONNECTIONS_DEFAULT = 512,
    IDLE_TIMEOUT_DEFAULT_S = 30,
    REFUSAL_BYTES = 4096,
    URL_BYTES_MAX = 8192,
};

enum call_state { CALL_OPEN, CALL_PARKED, CALL_ANSWERED };

struct httpd_call {
    struct httpd *httpd;
    struct MHD_Connection *connection;
    char *method;
    char *path;
    struct str body;
    bool is_handled;
    atomic_int state;
    struct MHD_Response *response; /* set before state becomes ANSWERED */
    unsigned status;
};

struct httpd {
    struct MHD_Daemon *daemon;
    void (*handle)(struct httpd_call *call, void *ctx);
    void *ctx;
    size_t body_bytes_max;
    char *address;
    struct mutex lock;
    struct condition all_answered;
    size_t open_calls GUARDED_BY(&lock); /* handed to the handler and not answered */
    bool is_closing GUARDED_BY(&lock);
};

static bool begin_call(struct httpd *httpd)
{
    mutex_lock(&httpd->lock);
    bool may = !httpd->is_closing;
    httpd->open_calls += may;
    mutex_unlock(&httpd->lock);
    return may;
}

static void end_call(struct httpd *httpd)
{
    mutex_lock(&httpd->lock);
    if (--httpd->open_calls == 0)
        condition_broadcast(&httpd->all_answered);
    mutex_unlock(&httpd->lock);
}

static struct MHD_Response *text_response(const char *content_type, const void *body, size_t size)
{
    /* MHD copies, and does not write to the buffer in spite of its type. */
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
    assert(response); /* NULL only without memory */
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type); /* a valid header */
    return response;
}

void httpd_call_answer(
    struct httpd_call *call, unsigned status, const char *content_type, const void *body, size_t size)
{
    struct httpd *httpd = call->httpd;
    call->response = text_response(content_type, body, size);
    call->status = status;
    /* Releases response and status to the server's thread, whose exchange or load acquires them. */
    int before = atomic_exchange_explicit(&call->state, CALL_ANSWERED, memory_order_acq_rel);
    assert(before != CALL_ANSWERED);
    if (before == CALL_PARKED)
        MHD_resume_connection(call->connection);
    end_call(httpd); /* last: httpd_free() may go on now */
}

void httpd_call_refuse(struct httpd_call *call, unsigned status, const char *fmt, ...)
{
    _cleanup_(str_done) struct str text = STR_INIT(REFUSAL_BYTES);
    _cleanup_(str_done) struct str body = STR_INIT(REFUSAL_BYTES * 6 + 64); /* every byte escaped */
    va_list args;
    va_start(args, fmt);
    str_vappendf(&text, fmt, args);
    va_end(args);
    str_append(&body, "{\"error\": ");
    str_append_json_string(&body, text.overflowed ? "the error is too long to be shown" : str_text(&text));
    str_append(&body, "}\n");
    httpd_call_answer(call, status, "application/json", body.data, body.size);
}

const char *httpd_call_method(const struct httpd_call *call)
{
    return call->method;
}

const char *httpd_call_path(const struct httpd_call *call)
{
    return call->path;
}

const char *httpd_call_query(const struct httpd_call *call, const char *name)
{
    return MHD_lookup_connection_value(call->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *httpd_call_header(const struct httpd_call *call, const char *name)
{
    return MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, name);
}

const char *httpd_call_body(const struct httpd_call *call, size_t *ret_size)
{
    *ret_size = call->body.size;
    return str_text(&call->body);
}

static enum MHD_Result queue_answer(struct httpd_call *call)
{
    enum MHD_Result result = MHD_queue_response(call->connection, call->status, call->response);
    MHD_destroy_response(call->response);
    call->response = NULL;
    return result;
}

static enum MHD_Result refuse_now(struct MHD_Connection *connection, unsigned status, const char *json)
{
    struct MHD_Response *response = text_response("application/json", json, strlen(json));
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static struct httpd_call *call_new(
    struct httpd *httpd, struct MHD_Connection *connection, const char *method, const char *path)
{
    struct httpd_call *call = xcalloc(1, sizeof(*call));
    call->httpd = httpd;
    call->connection = connection;
    call->method = xstrdup(text_equal(method, "HEAD") ? "GET" : method);
    call->path = xstrdup(path);
    str_init(&call->body, httpd->body_bytes_max);
    atomic_init(&call->state, CALL_OPEN);
    return call;
}

static enum MHD_Result hand_over(struct httpd_call *call)
{
    struct httpd *httpd = call->httpd;
    int open = CALL_OPEN;
    call->is_handled = true;
    if (!begin_call(httpd))
        return refuse_now(call->connection, MHD_HTTP_SERVICE_UNAVAILABLE, "{\"error\": \"stopping\"}\n");
    httpd->handle(call, httpd->ctx);
    if (atomic_load_explicit(&call->state, memory_order_acquire) == CALL_ANSWERED)
        return queue_answer(call);
    MHD_suspend_connection(call->connection);
    /* Acquires what httpd_call_answer() released, when it came in between. */
    if (!atomic_compare_exchange_strong_explicit(
            &call->state, &open, CALL_PARKED, memory_order_acq_rel, memory_order_acquire))
        MHD_resume_connection(call->connection);
    return MHD_YES;
}

/* MHD calls it when the headers are there, with each part of the body, at the end of the request, and again
 * after a resume. */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *path,
    const char *method, const char *version, const char *data, size_t *data_size, void **ret_call)
{
    struct httpd_call *call = *ret_call;
    (void)version;
    if (!call) {
        if (strlen(path) > URL_BYTES_MAX)
            return refuse_now(connection, MHD_HTTP_URI_TOO_LONG, "{\"error\": \"the path is too long\"}\n");
        *ret_call = call_new(ctx, connection, method, path);
        return MHD_YES;
    }
    if (*data_size > 0) {
        str_append_bytes(&call->body, data, *data_size);
        *data_size = 0;
        return MHD_YES;
    }
    if (call->is_handled)
        return atomic_load_explicit(&call->state, memory_order_acquire) == CALL_ANSWERED ? queue_answer(call)
                                                                                         : MHD_YES;
    if (call->body.overflowed)
        return refuse_now(
            connection, MHD_HTTP_CONTENT_TOO_LARGE, "{\"error\": \"the request's body is too large\"}\n");
    return hand_over(call);
}

static void on_completed(
    void *ctx, struct MHD_Connection *connection, void **call_pointer, enum MHD_RequestTerminationCode how)
{
    struct httpd_call *call = *call_pointer;
    (void)ctx;
    (void)connection;
    (void)how;
    if (!call)
        return;
    if (call->response)
        MHD_destroy_response(call->response);
    free(call->method);
    free(call->path);
    str_done(&call->body);
    free(call);
    *call_pointer = NULL;
}

/* "host:port" with a numeric host, IPv6 in brackets. */
static int parse_address(const char *address, struct sockaddr_storage *ret_socket, struct err *err)
{
    const char *colon = strrchr(address, ':');
    uint64_t port;
    if (!colon || text_to_u64(colon + 1, UINT16_MAX, &port, NULL) < 0)
        return err_set(err, ERR_INVALID, "\"%s\" is no address: write host:port", address);
    bool is_v6 = address[0] == '[' && colon > address + 1 && colon[-1] == ']';
    size_t host_size = (size_t)(colon - address) - (is_v6 ? 2 : 0);
    _cleanup_(cleanup_free) char *host = xstrndup(address + is_v6, host_size);
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret_socket;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_socket;
    *ret_socket = (struct sockaddr_storage){0};
    if (is_v6 && inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        return 0;
    }
    if (!is_v6 && inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return 0;
    }
    return err_set(err, ERR_INVALID, "\"%s\" is no address: the host must be numeric", address);
}

static int listen_on(const char *address, int *ret_fd, struct err *err)
{
    struct sockaddr_storage socket_address;
    if (parse_address(address, &socket_address, err) < 0)
        return -1;
    int family = socket_address.ss_family;
    socklen_t size = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    _cleanup_(cleanup_close) int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int yes = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
        return err_set_errno(err, errno, "socket for \"%s\"", address);
    if (bind(fd, (struct sockaddr *)&socket_address, size) < 0 || listen(fd, SOMAXCONN) < 0)
        return err_set(err, errno == EADDRINUSE ? ERR_CONFLICT : ERR_SYSTEM, "listen on \"%s\": %s", address,
            strerror(errno));
    *ret_fd = steal_fd(&fd);
    return 0;
}

static char *bound_address(int fd)
{
    struct sockaddr_storage bound = {0};
    socklen_t size = sizeof(bound);
    char host[INET6_ADDRSTRLEN] = "";
    int failed = getsockname(fd, (struct sockaddr *)&bound, &size);
    assert(failed == 0);
    (void)failed; /* for builds without assertions */
    if (bound.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&bound;
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host)); /* it fits */
        return xasprintf("[%s]:%u", host, (unsigned)ntohs(v6->sin6_port));
    }
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&bound;
    (void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host)); /* it fits */
    return xasprintf("%s:%u", host, (unsigned)ntohs(v4->sin_port));
}

int httpd_new(const struct httpd_config *config, struct httpd **ret_httpd, struct err *err)
{
    _cleanup_(cleanup_close) int fd = -1;
    if (listen_on(config->address, &fd, err) < 0)
        return -1;
    struct httpd *httpd = xcalloc(1, sizeof(*httpd));
    httpd->handle = config->handle;
    httpd->ctx = config->ctx;
    httpd->body_bytes_max = config->body_bytes_max ? config->body_bytes_max : LIMIT_HTTP_BODY_BYTES;
    httpd->address = bound_address(fd);
    mutex_init(&httpd->lock, HTTPD_RANK, "httpd");
    condition_init(&httpd->all_answered);
    unsigned connections_max = config->connections_max ? config->connections_max : CONNECTIONS_DEFAULT;
    unsigned idle_timeout_s = config->idle_timeout_s ? config->idle_timeout_s : IDLE_TIMEOUT_DEFAULT_S;
    httpd->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        on_request, httpd, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, connections_max,
        MHD_OPTION_CONNECTION_TIMEOUT, idle_timeout_s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, httpd,
        MHD_OPTION_END);
    if (!httpd->daemon) {
        int failed = err_set(err, ERR_SYSTEM, "no HTTP server on \"%s\": it did not start", config->address);
        httpd_free(httpd);
        return failed;
    }
    (void)steal_fd(&fd); /* MHD closes it */
    *ret_httpd = httpd;
    return 0;
}

const char *httpd_address(const struct httpd *httpd)
{
    return httpd->address;
}

void httpd_free(struct httpd *httpd)
{
    if (!httpd)
        return;
    mutex_lock(&httpd->lock);
    httpd->is_closing = true;
    while (httpd->open_calls > 0)
        condition_wait(&httpd->all_answered, &httpd->lock);
    mutex_unlock(&httpd->lock);
    if (httpd->daemon)
        MHD_stop_daemon(httpd->daemon);
    condition_done(&httpd->all_answered);
    mutex_done(&httpd->lock);
    free(httpd->address);
    free(httpd);
}
