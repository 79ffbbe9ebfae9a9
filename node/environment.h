/* node/environment.h: what a node process is told by its environment, typed and checked. Mistakes are
 * collected, so that one start shows all of them. Pure but for the getter; thread: any.
 *
 *   HISTRIO_SYSTEM           name of the system, a DNS label of at most 40 characters
 *   HISTRIO_SYSTEM_UID       its uid: streams of another one are refused
 *   HISTRIO_NODE_NAME        "bank-nodes-0"
 *   HISTRIO_POD_UID          of this node process (parent); kept over restarts of the runtime
 *   HISTRIO_CONTROL_ADDRESS  where the operator dials: "unix:/path" or "host:port"
 *   HISTRIO_LINK_ADDRESS     where peers dial
 *   HISTRIO_GATEWAY_ADDRESS  where clients dial
 *   HISTRIO_CODE_FOLDERS     absolute folders, colon separated: behavior libraries elsewhere are refused
 *   HISTRIO_CREDENTIAL       token of the run as hex digits: who cannot show it is refused. Optional with TLS
 *
 * Optional:
 *   HISTRIO_TLS_FOLDER       ca.crt, tls.crt and tls.key in it secure Control and links: who does not show a
 *                            certificate of this system is refused. The gateway stays as it is
 *   HISTRIO_POD_IP           what others are told in place of the host of the link and gateway addresses,
 *                            where these are not one that can be dialled ("0.0.0.0:7073")
 *   HISTRIO_HTTP_ADDRESS     where probes, metrics and the JSON gateway are served, with a numeric host
 *   HISTRIO_REPORT_FD        a descriptor on which the parent reports starts and ends of the runtime
 *   HISTRIO_TERMINATION_LOG  a file for the record of the last crash; /dev/termination-log where that exists
 *   HISTRIO_KUBE_NODE, HISTRIO_ZONE   where this node runs
 *   HISTRIO_WORKERS          worker threads, 1 to 1024; as many as cores when absent
 *   HISTRIO_HANDLER_TIMEOUT_MS   the watchdog's limit on one handler; the runtime's default
 *   HISTRIO_DRAIN_TIMEOUT_MS     how long SIGTERM lets units stop; 10000
 *   HISTRIO_LOG_LEVEL        debug, info, warning, error; info */
#pragma once

#include "base/log.h"
#include "base/vec.h"

#include <stddef.h>
#include <stdint.h>

struct str;

/* Texts are never NULL: an optional one that is absent is "". */
struct environment {
    char *system;
    char *system_uid;
    char *node_name;
    char *pod_uid;
    char *kube_node;
    char *zone;
    char *control_address;
    char *link_address;
    char *gateway_address;
    char *http_address;
    char *tls_folder;
    char *pod_ip;
    char *termination_log;
    VEC(char *) code_folders;
    uint8_t *credential;
    size_t credential_size;
    int report_fd; /* -1: none */
    unsigned workers;
    uint32_t handler_timeout_ms;
    uint32_t drain_timeout_ms;
    enum log_level log_level;
};

typedef const char *(*environment_get)(const char *name, void *ctx);

/* 0, or the number of mistakes: each is appended to `problems` as one line with its newline. *ret_environment
 * is filled in both cases and released by environment_done(). `get` NULL: getenv(). */
size_t environment_read(
    environment_get get, void *ctx, struct environment *ret_environment, struct str *problems);
void environment_done(struct environment *environment);
