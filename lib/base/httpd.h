/* A small HTTP/1.1 server: probes, metrics and JSON. Handlers may answer at once or later, from any thread.
 *
 *     static void handle(struct httpd_call *call, void *ctx)
 *     {
 *         if (text_equal(httpd_call_path(call), "/healthz"))
 *             httpd_call_answer(call, 200, "text/plain", "ok\n", 3);
 *         else
 *             httpd_call_refuse(call, 404, "no \"%s\" here", httpd_call_path(call));
 *     }
 *
 * One thread of libmicrohttpd, "http" (ARCHITECTURE.md), runs all connections and calls the handler, which
 * must not block. Requests are whole when the handler sees them: a body above the limit is answered 413, a
 * connection that says nothing for the idle timeout is closed, connections beyond the limit are refused.
 * Plain text on the wire: who may reach the address is for the network to decide. */
#ifndef BASE_HTTPD_H
#define BASE_HTTPD_H

#include <stddef.h>

struct err;
struct httpd;
struct httpd_call;

struct httpd_config {
    const char *address; /* "127.0.0.1:0", "[::1]:7072", "0.0.0.0:7072" */
    /* On the server's thread, once a request. It answers exactly once, there or later. */
    void (*handle)(struct httpd_call *call, void *ctx);
    void *ctx;
    size_t body_bytes_max;    /* 0: LIMIT_HTTP_BODY_BYTES */
    unsigned connections_max; /* 0: 512 */
    unsigned idle_timeout_s;  /* 0: 30 */
};

/* Listens at once. ERR_INVALID: no address; ERR_CONFLICT: in use; strings are copied. */
int httpd_new(const struct httpd_config *config, struct httpd **ret_httpd, struct err *err);
/* With the real port in place of 0. */
const char *httpd_address(const struct httpd *httpd);
/* No handler is called afterwards. Waits until calls that are not yet answered are: whoever answers them must
 * still be there. NULL is fine. Any thread but the server's. */
void httpd_free(struct httpd *httpd);

/* What was asked; valid until the answer. */
const char *httpd_call_method(const struct httpd_call *call); /* "GET" also for HEAD */
const char *httpd_call_path(const struct httpd_call *call);   /* decoded, without the query */
const char *httpd_call_query(const struct httpd_call *call, const char *name);  /* decoded; NULL: not there */
const char *httpd_call_header(const struct httpd_call *call, const char *name); /* NULL: not there */
/* Ends with a NUL that is not counted; "" when there is none. */
const char *httpd_call_body(const struct httpd_call *call, size_t *ret_size);

/* Any thread, once; the call is gone. The body is copied. */
void httpd_call_answer(
    struct httpd_call *call, unsigned status, const char *content_type, const void *body, size_t size);
/* {"error": "..."} as application/json. */
__attribute__((format(printf, 3, 4))) void httpd_call_refuse(
    struct httpd_call *call, unsigned status, const char *fmt, ...);

#endif
