/* node/hosting.h: the host of actors outside of this process, as a part of the node: its app comes from the
 * operator, what it counts goes to the node's metrics. */
#ifndef NODE_HOSTING_H
#define NODE_HOSTING_H

struct environment;
struct err;
struct host;
struct loader_python;
struct loader_workers;
struct metric;
struct metrics;

enum { HOSTING_METRICS = 9 };

struct hosting {
    struct host *host;
    struct metric *metrics[HOSTING_METRICS];
};

int hosting_start(struct hosting *hosting, const struct environment *environment, unsigned long long node_uid,
    struct err *err);
/* For struct node_control_code; ctx: the hosting. */
void hosting_configure(void *ctx, const struct loader_python *python, const struct loader_workers *c_workers);
/* For struct gateway_http_metrics; ctx: the hosting. */
void hosting_make_metrics(void *ctx, struct metrics *metrics);
void hosting_collect(void *ctx);

#endif
