/* Which API server, whom to trust, and who we are: from the service account inside a pod or from kubeconfig
 * files. Files are only named here; auth.h reads them, again and again. */
#ifndef KUBE_CONFIG_H
#define KUBE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct err;
struct json;

/* A program that gives credentials (client.authentication.k8s.io): see exec.h. */
struct kube_exec {
    char *command;
    char **args;        /* ended by NULL; may be NULL */
    char **env;         /* "NAME=value", ended by NULL; may be NULL */
    char *api_version;  /* client.authentication.k8s.io/v1 or v1beta1 */
    char *install_hint; /* NULL: none */
    bool provides_cluster_info;
    struct json
        *cluster_extension; /* "config" of the extension client.authentication.k8s.io/exec; may be NULL */
};

/* Strings are NULL when not given. Immutable once loaded: any thread may read. */
struct kube_config {
    char *server;    /* "https://10.0.0.1:443", without a slash at the end */
    char *namespace; /* never NULL: "default" when nobody says */
    char *authority_file;
    char *authority_data; /* PEM, decoded; wins over the file */
    char *server_name;    /* tls-server-name */
    char *proxy;
    bool is_insecure;

    char *certificate_file;
    char *certificate_data;
    char *key_file;
    char *key_data;
    char *token;
    char *token_file; /* wins over token, as in client-go; token is what is used while it cannot be read */
    struct kube_exec *exec;

    char *impersonate_user;
    char *impersonate_uid;
    char **impersonate_groups; /* ended by NULL; may be NULL */
};

void kube_config_free(struct kube_config *config);
DEFINE_CLEANUP(struct kube_config *, kube_config_free)

/* Where a pod finds its service account. */
#define KUBE_SERVICE_ACCOUNT_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount"

/* From KUBERNETES_SERVICE_HOST and _PORT and the files token, ca.crt and namespace in folder (NULL: the usual
 * one). ERR_NOT_FOUND outside of a pod. */
int kube_config_in_cluster(const char *folder, struct kube_config **ret_config, struct err *err);

/* From kubeconfig files. paths: like $KUBECONFIG, a list with ":" of which the first value of each name wins;
 * files that do not exist are passed over in a list of several. context NULL: current-context. ERR_NOT_FOUND:
 * no file, context, cluster or user of that name; ERR_INVALID with file and line: what makes no sense. */
int kube_config_from_files(
    const char *paths, const char *context, struct kube_config **ret_config, struct err *err);

/* What a program does when it starts: path if given, else $KUBECONFIG, else the service account when in a
 * pod, else
 * ~/.kube/config. The error says what was looked for. */
int kube_config_load(const char *path, const char *context, struct kube_config **ret_config, struct err *err);

#endif
