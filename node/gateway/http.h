/* gateway/http.h: the gateway as JSON over HTTP, and the probes and metrics of a node.
 *
 *   POST /v1/ask/<actor>/<method>[?timeout=5s]   the body is the arguments as JSON: an object by name, an
 * array by position, nothing for none; answers the reply as JSON POST /v1/tell/<actor>/<method> the same; 202
 * with nothing GET  /v1/actors[?below=tellers.0]            the actors of this node GET  /healthz 200 while
 * the process runs: it is no question of leases GET  /readyz                                 200 when the
 * node serves, 503 with the reason otherwise GET  /metrics                                Prometheus text
 *
 * The header "traceparent" is the trace of the message; one that is malformed is ignored, as W3C Trace
 * Context says.
 *
 * The path is percent-decoded once: a key that is percent-encoded in an actor's name is encoded twice in the
 * URL. Errors are {"error": {"code": "NotFound", "text": "...", "node": "..."}} with a status that follows
 * from the code: docs/gateway.md has the table. No credential: who may reach the port is for the network to
 * decide.
 *
 * Thread: http's own thread takes requests, the gateway's loop asks. */
#pragma once

struct err;
struct gateway;
struct gateway_http;
struct metrics;

/* Metrics of other parts of the node, served with ours. */
struct gateway_http_metrics {
    void (*make)(void *ctx, struct metrics *metrics); /* NULL: there are none */
    void (*collect)(void *ctx);                       /* before they are written, on http's thread */
    void *ctx;
};

struct gateway_http_config {
    const char *address; /* "0.0.0.0:7072", with a numeric host */
    struct gateway *gateway;
    /* Why the node does not serve now; NULL: it does. On http's thread. */
    const char *(*not_ready)(void *ctx);
    void *ctx;
    struct gateway_http_metrics metrics;
};

/* After gateway_attach(). Any thread. Everything is borrowed until gateway_http_free(). */
int gateway_http_new(
    const struct gateway_http_config *config, struct gateway_http **ret_http, struct err *err);
/* With the real port in place of 0. */
const char *gateway_http_address(const struct gateway_http *http);
/* Between gateway_close(), which answers what is open, and gateway_free(). NULL is fine. */
void gateway_http_free(struct gateway_http *http);
