/* kube/config_private.h: shared by config.c and config_files.c. */
#pragma once

struct err;
struct kube_config;

/* Server and namespace in their final form. ERR_INVALID when the server is no http:// or https:// URL. */
int kube_config_finish(struct kube_config *config, struct err *err);
