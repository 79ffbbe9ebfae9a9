/* All objects of a resource, page by page: at no time is more than one page in memory. */
#ifndef KUBE_LIST_H
#define KUBE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct json;
struct kube_client;
struct kube_resource;
struct kube_status;
struct str;

enum { KUBE_LIST_PAGE = 500 };

struct kube_list_request {
    const struct kube_resource *resource;
    const char *namespace;        /* NULL: all */
    const char *label_selector;   /* "a=b,c in (d,e)"; NULL: all */
    const char *field_selector;   /* "spec.nodeName=x"; NULL: all */
    const char *resource_version; /* NULL: the newest; "0": what the server has at hand, then in one page */
    int64_t page_count_max;       /* objects in a page; 0: KUBE_LIST_PAGE; -1: no pages */
    int64_t timeout_ms;           /* of each page; 0: the client's */
    bool is_metadata_only;
};

struct kube_list_events {
    /* An object, borrowed until it returns. apiVersion and kind are not in it, as the API has it in lists. -1
     * ends the list with that error. */
    int (*item)(const struct json *object, void *ctx, struct err *err);
    /* The list begins again as a whole because its pages expired: forget what came until now. */
    void (*restart)(void *ctx);
};

/* Blocks; the events come on the caller's thread. *ret_resource_version (may be NULL) is where a watch goes
 * on; the caller frees it. Pages that expire (410) make it begin again, once, without pages. */
int kube_list(struct kube_client *client, const struct kube_list_request *request,
    const struct kube_list_events *events, void *ctx, char **ret_resource_version,
    struct kube_status *ret_status, struct err *err);

/* The same of any state that is not older than version, 0 for the newest. From the server's cache, which
 * comes at once; the newest waits for the server's next look at etcd, a tenth of a second. ret_version (may
 * be NULL): of the list. */
int kube_list_since(struct kube_client *client, const struct kube_list_request *request, uint64_t version,
    const struct kube_list_events *events, void *ctx, uint64_t *ret_version, struct err *err);

/* The same for those who send the pages themselves (informers): the path of a page, continue_token NULL for
 * the first. */
int kube_list_path(
    const struct kube_list_request *request, const char *continue_token, struct str *path, struct err *err);

/* Takes a page apart: item for each object, the version and the token of the next page ("" at the end) into
 * texts that the caller frees. ERR_INVALID when it is no list. */
int kube_list_page(const char *body, size_t size,
    int (*item)(const struct json *object, void *ctx, struct err *err), void *ctx,
    char **ret_resource_version, char **ret_continue, struct err *err);

#endif
