/* kube/requests.h: shared by the parts of kube_requests. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kube/client.h"
#include "kube/config.h"
#include "kube/verbs.h"

enum { LOCK_RANK = 1000 }; /* of what tests lock */

extern struct kube_config *config;
extern struct kube_client *client;
extern char last_warning[256];

/* A client of that configuration; ends the program when there is none. */
struct kube_client *new_client(const struct kube_config *of);
/* TCP connections of this process. */
unsigned count_connections(void);

/* A ConfigMap of namespace default; the body as a text that the caller frees, version NULL for none. */
struct kube_target map_target(const char *name);
char *map_body(const char *name, const char *version, const char *value);

/* What the program does; the exit code. */
int verbs(void);
int many(int64_t seconds);
int watches(int64_t seconds);
int probe(int64_t seconds);
