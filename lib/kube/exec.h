/* Credential plugins of kubeconfig files (client.authentication.k8s.io v1 and v1beta1): a program whose
 * output is an ExecCredential. Started with its argv and an environment, never through a shell. */
#ifndef KUBE_EXEC_H
#define KUBE_EXEC_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct kube_config;

enum { KUBE_EXEC_TIMEOUT_MS = 60 * 1000, KUBE_EXEC_OUTPUT_BYTES_MAX = 256 * 1024 };

/* A token, or a certificate with its key, or both. */
struct kube_exec_credential {
    char *token;           /* NULL: none */
    char *certificate;     /* PEM; NULL: none, and then key is NULL as well */
    char *key;             /* PEM */
    int64_t expires_at_ms; /* wall clock; INT64_MAX: the program did not say */
};

void kube_exec_credential_done(struct kube_exec_credential *credential);

/* Runs config->exec and waits at most timeout_ms, then kills its process group. stderr goes to ours; stdin is
 * /dev/null: plugins that must ask a person (interactiveMode Always) fail. ERR_NOT_FOUND with the install
 * hint when there is no such program, ERR_DENIED when it exits with another status than 0, ERR_TIMEOUT,
 * ERR_LIMIT, ERR_INVALID when its output is no ExecCredential of the asked version. Blocks; any thread. */
int kube_exec_run(const struct kube_config *config, int64_t timeout_ms,
    struct kube_exec_credential *ret_credential, struct err *err);

/* The output of a plugin; pure. */
int kube_exec_decode(const char *text, size_t size, const char *api_version,
    struct kube_exec_credential *ret_credential, struct err *err);

#endif
