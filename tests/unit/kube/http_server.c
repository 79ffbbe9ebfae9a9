#include "unit/kube/http_server.h"

#include <assert.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/vec.h"

enum { LOCK_RANK = 1000, REQUEST_BYTES_MAX = 16 * 1024 * 1024 };

struct connection {
    struct http_server *server;
    struct thread *thread;
    int fd;
    unsigned number;
};

struct http_server {
    void (*handle)(struct http_exchange *exchange, void *ctx);
    void *ctx;
    int listener;
    int stop_fd; /* readable: everything ends */
    char *url;
    struct thread *acceptor;
    VEC(struct connection *) connections; /* of the acceptor, then of http_server_free */
    struct mutex lock;
    unsigned requests;
};

/* False when the server ends first. */
static bool wait_readable(const struct http_server *server, int fd)
{
    struct pollfd fds[2] = {{.fd = server->stop_fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0)
        ;
    return !fds[0].revents;
}

static bool read_more(const struct connection *connection, struct str *text)
{
    char buffer[64 * 1024];
    if (!wait_readable(connection->server, connection->fd))
        return false;
    ssize_t got = recv(connection->fd, buffer, sizeof(buffer), 0);
    if (got <= 0)
        return false;
    str_append_bytes(text, buffer, (size_t)got);
    return !text->overflowed;
}

/* A copy of what stands behind "name:" in the lines, "" when it is not there. */
static char *header_value(const char *lines, const char *name)
{
    size_t name_size = strlen(name);
    for (const char *line = lines; *line;) {
        size_t size = strcspn(line, "\r\n");
        if (size > name_size && strncasecmp(line, name, name_size) == 0 && line[name_size] == ':') {
            const char *value = line + name_size + 1 + strspn(line + name_size + 1, " ");
            return xstrndup(value, strcspn(value, "\r\n"));
        }
        line += size + strspn(line + size, "\r\n");
    }
    return xstrdup("");
}

/* Cuts the head apart, in place. */
static void run_handler(
    const struct connection *connection, char *head, const char *body, size_t body_size, bool *ret_must_close)
{
    struct http_server *server = connection->server;
    struct http_exchange exchange = {.body = body,
        .body_size = body_size,
        .connection = connection->number,
        .fd = connection->fd,
        .stop_fd = server->stop_fd};
    char *target = strchr(head, ' ');
    char *version = strchr(target + 1, ' ');
    char *lines = strstr(version, "\r\n");
    *target = *version = '\0';
    exchange.method = head;
    exchange.target = target + 1;
    exchange.headers = lines + 2;
    mutex_lock(&server->lock);
    exchange.number = server->requests++;
    mutex_unlock(&server->lock);
    server->handle(&exchange, server->ctx);
    *ret_must_close = exchange.must_close;
}

/* One request; false when the connection is over. */
static bool serve_one(const struct connection *connection, struct str *text)
{
    char *end;
    while (!(end = strstr(str_text(text), "\r\n\r\n"))) {
        if (!read_more(connection, text))
            return false;
    }
    size_t head_size = (size_t)(end - text->data) + 4;
    _cleanup_(cleanup_free) char *head = xstrndup(text->data, head_size - 2);
    _cleanup_(cleanup_free) char *length = header_value(head, "Content-Length");
    size_t body_size = (size_t)strtoul(length, NULL, 10);
    while (text->size < head_size + body_size) {
        if (!read_more(connection, text))
            return false;
    }
    _cleanup_(cleanup_free) char *body = xstrndup(text->data + head_size, body_size);
    size_t rest_size = text->size - head_size - body_size;
    memmove(text->data, text->data + head_size + body_size, rest_size);
    str_truncate(text, rest_size);
    bool must_close = false;
    run_handler(connection, head, body, body_size, &must_close);
    return !must_close;
}

static void connection_main(void *ctx)
{
    struct connection *connection = ctx;
    _cleanup_(str_done) struct str text = STR_INIT(REQUEST_BYTES_MAX);
    while (serve_one(connection, &text))
        ;
    if (connection->fd >= 0)
        (void)shutdown(connection->fd, SHUT_RDWR); /* closed when nobody can use its number any more */
}

static void accept_main(void *ctx)
{
    struct http_server *server = ctx;
    unsigned number = 0;
    while (wait_readable(server, server->listener)) {
        struct connection *connection = xcalloc(1, sizeof(*connection));
        connection->server = server;
        connection->number = number++;
        connection->fd = accept(server->listener, NULL, NULL);
        int failed = thread_start(&connection->thread, "test http", connection_main, connection, NULL);
        assert(connection->fd >= 0 && !failed);
        (void)failed;
        vec_push(&server->connections, connection);
    }
}

struct http_server *http_server_new(void (*handle)(struct http_exchange *exchange, void *ctx), void *ctx)
{
    struct http_server *server = xcalloc(1, sizeof(*server));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    server->handle = handle;
    server->ctx = ctx;
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mutex_init(&server->lock, LOCK_RANK, "test http");
    int failed = bind(server->listener, (struct sockaddr *)&address, size);
    failed |= listen(server->listener, 64);
    failed |= getsockname(server->listener, (struct sockaddr *)&address, &size);
    server->url = xasprintf("http://127.0.0.1:%u", ntohs(address.sin_port));
    failed |= thread_start(&server->acceptor, "test accept", accept_main, server, NULL);
    assert(!failed);
    (void)failed;
    return server;
}

void http_server_free(struct http_server *server)
{
    (void)eventfd_write(server->stop_fd, 1);
    thread_join(server->acceptor);
    vec_for_each (connection, &server->connections) {
        thread_join((*connection)->thread);
        (void)close((*connection)->fd);
        free(*connection);
    }
    vec_done(&server->connections);
    (void)close(server->listener);
    (void)close(server->stop_fd);
    mutex_done(&server->lock);
    free(server->url);
    free(server);
}

const char *http_server_url(const struct http_server *server)
{
    return server->url;
}

unsigned http_server_requests(struct http_server *server)
{
    mutex_lock(&server->lock);
    unsigned requests = server->requests;
    mutex_unlock(&server->lock);
    return requests;
}

/* ---- the handler's ---- */

char *http_exchange_header(const struct http_exchange *exchange, const char *name)
{
    return header_value(exchange->headers, name);
}

void http_exchange_send(struct http_exchange *exchange, const char *bytes)
{
    size_t size = strlen(bytes);
    while (size > 0) {
        ssize_t sent = send(exchange->fd, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the client has gone: its business */
        bytes += sent;
        size -= (size_t)sent;
    }
}

void http_exchange_answer(
    struct http_exchange *exchange, int code, const char *more_headers, const char *body)
{
    _cleanup_(cleanup_free) char *text =
        xasprintf("HTTP/1.1 %d Text\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n%s",
            code, strlen(body), more_headers, body);
    http_exchange_send(exchange, text);
}

void http_exchange_refuse(struct http_exchange *exchange, int code, const char *reason,
    const char *more_headers, const char *message)
{
    _cleanup_(cleanup_free) char *body =
        xasprintf("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
                  "\"status\":\"Failure\",\"message\":\"%s\",\"reason\":\"%s\",\"code\":%d}",
            message, reason, code);
    http_exchange_answer(exchange, code, more_headers, body);
}

void http_exchange_reset(struct http_exchange *exchange)
{
    struct linger at_once = {.l_onoff = 1};
    (void)setsockopt(exchange->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)); /* a socket of ours */
    /* A socket that closes with unread data or with this option sends a reset; its number stays taken. */
    int nothing = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)dup3(nothing, exchange->fd, O_CLOEXEC);
    (void)close(nothing);
    exchange->must_close = true;
}

void http_exchange_hang(struct http_exchange *exchange)
{
    char byte;
    struct pollfd fds[2] = {
        {.fd = exchange->stop_fd, .events = POLLIN}, {.fd = exchange->fd, .events = POLLIN}};
    do {
        (void)poll(fds, 2, -1);
    } while (!fds[0].revents && recv(exchange->fd, &byte, 1, 0) > 0);
    exchange->must_close = true;
}
