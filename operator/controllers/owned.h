/* controllers/owned.h: objects that the operator keeps beside a system's Pods: its Service, its
 * PodDisruptionBudget, and its TLS Secret. They are read before they are written, and written only when they
 * differ from what they are to be. Thread: any; all block. */
#pragma once

#include <stdint.h>

#include "api/object_owner.h"

struct certs_content;
struct err;
struct kube_client;

/* Service "<name>" (ports grpc and http) and PodDisruptionBudget "<name>-nodes". ERR_CONFLICT: an object of
 * that name belongs to somebody else, and is left alone. */
int owned_ensure(struct kube_client *client, const struct object_owner *owner, struct err *err);

/* Makes or renews the Secret "<name>-histrio-tls" when it is time, and gives its content, which the caller
 * releases, and when to look again (wall clock, seconds). */
int owned_ensure_certificates(struct kube_client *client, const struct object_owner *owner, int64_t now_s,
    struct certs_content *ret_content, int64_t *ret_next_s, struct err *err);
