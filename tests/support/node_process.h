/* support/node_process.h: one real histrio-node in a folder of its own below /tmp, driven as the local driver
 * does it: environment, report descriptor, signals. Failures of set-up fail the cmocka test. One thread. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct json;

#define NODE_SYSTEM "bank"
#define NODE_SYSTEM_UID "system-1"
#define NODE_CREDENTIAL_HEX "00112233445566778899aabbccddeeff"
extern const uint8_t node_credential[16];

struct node_process {
    char folder[64];
    char control_address[96], link_address[96], gateway_address[96];
    char log[96]; /* its stdout and stderr */
    pid_t pid;    /* of the parent process; 0 when it was reaped */
    int report_fd;
    char lines[65536]; /* of the report that was not looked at */
    size_t line_bytes;
};

/* `settings`: "NAME=value" texts in place of or beside the usual ones, NULL-terminated; may be NULL. */
void node_process_start(struct node_process *node, const char *const *settings);
/* The same, with `log_fd` as its stdout and stderr; the caller's. */
void node_process_start_logging_to(struct node_process *node, const char *const *settings, int log_fd);

/* The next report with that event, as JSON to be freed; fails the test when it does not come in time. */
struct json *node_process_report(struct node_process *node, const char *event, int timeout_ms);
/* The same of a "started" event: uid and pid of the runtime. */
void node_process_started(struct node_process *node, uint64_t *ret_uid, pid_t *ret_pid);

/* The wait status of the parent process. */
int node_process_wait(struct node_process *node, int timeout_ms);
/* Ends what still runs and removes the folder. With `show_log`, prints the log before. */
void node_process_end(struct node_process *node, int show_log);
