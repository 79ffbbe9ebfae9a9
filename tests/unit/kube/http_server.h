/* unit/kube/http_server.h: a small HTTP/1.1 server whose answers a test decides, byte by byte where it wants
 * to. A thread accepts, a thread for each connection calls the handler; requests of one connection come one
 * after the other. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct http_server;

struct http_exchange {
    const char *method;
    const char *target;  /* path and query, as sent */
    const char *headers; /* the lines, as sent */
    const char *body;
    size_t body_size;
    unsigned number;     /* of the request, from 0, over all connections */
    unsigned connection; /* from 0 */
    int fd;
    int stop_fd;     /* readable: the server is being freed */
    bool must_close; /* set by the handler: the connection ends behind the answer */
};

struct http_server *http_server_new(void (*handle)(struct http_exchange *exchange, void *ctx), void *ctx);
/* Breaks all connections and waits for their handlers. */
void http_server_free(struct http_server *server);
/* "http://127.0.0.1:12345" */
const char *http_server_url(const struct http_server *server);
/* How many requests came until now. */
unsigned http_server_requests(struct http_server *server);

/* The value of a header of the request, "" when it is not there. The caller frees it. */
char *http_exchange_header(const struct http_exchange *exchange, const char *name);

/* A whole answer; more_headers are lines that end with "\r\n", or "". */
void http_exchange_answer(
    struct http_exchange *exchange, int code, const char *more_headers, const char *body);
/* A Status as API servers send it. */
void http_exchange_refuse(struct http_exchange *exchange, int code, const char *reason,
    const char *more_headers, const char *message);
/* Some bytes of an answer. */
void http_exchange_send(struct http_exchange *exchange, const char *bytes);
/* The connection ends with a reset. */
void http_exchange_reset(struct http_exchange *exchange);
/* Waits until the client closes the connection or the server is freed. */
void http_exchange_hang(struct http_exchange *exchange);
