/* The credentials of a client, kept fresh: files are read again every minute, plugins are run again before
 * their credential expires and after a 401. What cannot be read, is empty or makes no sense does not replace
 * what worked. Tokens appear in no text and no log. */
#ifndef KUBE_AUTH_H
#define KUBE_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct clock;
struct err;
struct kube_auth;
struct kube_config;
struct kube_http_tls;

enum { KUBE_AUTH_PERIOD_MS = 60 * 1000 };

/* config stays the caller's and outlives it. Reads nothing yet. */
struct kube_auth *kube_auth_new(const struct kube_config *config, struct clock *clock);
void kube_auth_free(struct kube_auth *auth);
DEFINE_CLEANUP(struct kube_auth *, kube_auth_free)

struct kube_credential {
    char *token;               /* NULL: none */
    struct kube_http_tls *tls; /* a reference; NULL for http:// */
    uint64_t number;           /* for kube_auth_reject */
};

void kube_credential_done(struct kube_credential *credential);

/* What to use for a request now. May block: reads files when the minute is over, and may run a plugin;
 * meanwhile others get what is there. Any thread. Fails when there never was anything that can be used, and
 * when a plugin fails whose last credential has expired or was refused. */
int kube_auth_get(struct kube_auth *auth, struct kube_credential *ret_credential, struct err *err);

/* The API server answered 401 to that credential: what was cached of it is dropped, the next get reads anew.
 * False when there is nothing to read anew: the request would be refused again. */
bool kube_auth_reject(struct kube_auth *auth, uint64_t number);
/* TLS failed with it: the next get looks at the files before their minute is over. */
void kube_auth_doubt(struct kube_auth *auth, uint64_t number);

#endif
