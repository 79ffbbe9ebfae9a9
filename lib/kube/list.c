#include "kube/list.h"

#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/client.h"
#include "kube/meta.h"
#include "kube/object_text.h"
#include "kube/path.h"
#include "kube/resource.h"
#include "kube/split.h"
#include "kube/status.h"

int kube_list_path(
    const struct kube_list_request *request, const char *continue_token, struct str *path, struct err *err)
{
    int64_t count_max = request->page_count_max == 0 ? KUBE_LIST_PAGE : request->page_count_max;
    bool has_token = continue_token && *continue_token;
    bool has_version = request->resource_version && *request->resource_version;
    if (kube_path(request->resource, request->namespace, NULL, NULL, path, err) < 0)
        return -1;
    kube_path_query(path, "labelSelector", request->label_selector);
    kube_path_query(path, "fieldSelector", request->field_selector);
    if (has_token)
        kube_path_query(path, "continue", continue_token); /* which knows the version */
    else
        kube_path_query(path, "resourceVersion", request->resource_version);
    if (count_max > 0 &&
        (has_token || !has_version)) /* pages come from etcd, versions from the server's cache */
        kube_path_query_number(path, "limit", count_max);
    return str_check(path, "the path of a list", err);
}

/* ---- a page ---- */

typedef int item_function(const struct json *object, void *ctx, struct err *err);

static int read_items(const struct kube_part *items, item_function *item, void *ctx, struct err *err)
{
    struct kube_split split;
    struct kube_part part;
    int found = 0;
    if (items->value_size == 4 && memcmp(items->value, "null", 4) == 0)
        return 0; /* how Go writes an empty slice */
    if (kube_split_begin(items->value, items->value_size, '[', &split, err) < 0)
        return -1;
    while ((found = kube_split_next(&split, &part, err)) > 0) {
        _cleanup_(json_freep) struct json *object = NULL;
        if (kube_object_text_parse(part.value, part.value_size, &object, err) < 0)
            return err_wrap(err, "an item");
        if (json_expect(object, JSON_OBJECT, err) < 0 || item(object, ctx, err) < 0)
            return -1;
    }
    return found;
}

struct page {
    struct json *metadata;
    struct kube_part items;
    bool is_list;
};

static void page_done(struct page *page)
{
    json_free(page->metadata);
}

static int read_member(struct page *page, const struct kube_part *part, struct err *err)
{
    if (kube_part_is(part, "items")) {
        if (page->items.value)
            return err_set(err, ERR_INVALID, "\"items\" is there twice");
        page->items = *part;
    } else if (kube_part_is(part, "metadata")) {
        if (page->metadata)
            return err_set(err, ERR_INVALID, "\"metadata\" is there twice");
        return json_parse(part->value, part->value_size, &page->metadata, err);
    } else if (kube_part_is(part, "kind")) {
        /* "PodList", with its quotes */
        page->is_list = part->value_size >= 6 && memcmp(part->value + part->value_size - 5, "List\"", 5) == 0;
    }
    return 0;
}

/* Metadata may stand behind the items, so these are only marked at first. */
static int read_page(const char *body, size_t size, struct page *page, struct err *err)
{
    struct kube_split split;
    struct kube_part part;
    int found = 0;
    if (kube_split_begin(body, size, '{', &split, err) < 0)
        return -1;
    while ((found = kube_split_next(&split, &part, err)) > 0) {
        if (read_member(page, &part, err) < 0)
            return -1;
    }
    if (found < 0)
        return -1;
    if (!page->is_list || !page->items.value || json_type(page->metadata) != JSON_OBJECT)
        return err_set(err, ERR_INVALID, "no list: its kind, metadata or items are missing");
    return 0;
}

int kube_list_page(const char *body, size_t size,
    int (*item)(const struct json *object, void *ctx, struct err *err), void *ctx,
    char **ret_resource_version, char **ret_continue, struct err *err)
{
    _cleanup_(page_done) struct page page = {0};
    if (read_page(body, size, &page, err) < 0 || read_items(&page.items, item, ctx, err) < 0)
        return err_wrap(err, "a page of a list");
    *ret_resource_version = xstrdup(json_string(json_get(page.metadata, "resourceVersion")));
    *ret_continue = xstrdup(json_string(json_get(page.metadata, "continue")));
    return 0;
}

/* ---- all pages ---- */

/* A list under way. */
struct listing {
    struct kube_client *client;
    struct kube_list_request request;
    const struct kube_list_events *events;
    void *ctx;
    char *version;        /* of the last page */
    char *continue_token; /* of the next page; NULL before the first, "" behind the last */
    bool has_restarted;
};

static void listing_done(struct listing *listing)
{
    free(listing->version);
    free(listing->continue_token);
}

static void begin_anew(struct listing *listing)
{
    free(listing->continue_token);
    listing->continue_token = NULL;
    listing->request.page_count_max = -1;
    listing->has_restarted = true;
    listing->events->restart(listing->ctx);
}

static bool has_expired(const struct listing *listing, const struct kube_status *status)
{
    bool is_expired = status->reason == KUBE_REASON_EXPIRED || status->reason == KUBE_REASON_GONE;
    return is_expired && listing->continue_token && !listing->has_restarted;
}

/* One request. When the pages have expired, the listing is ready to begin anew. */
static int next_page(struct listing *listing, struct kube_status *ret_status, struct err *err)
{
    _cleanup_(str_done) struct str path = STR_INIT(KUBE_PATH_BYTES_MAX);
    _cleanup_(kube_answer_done) struct kube_answer answer = {0};
    _cleanup_(kube_status_done) struct kube_status status = {0};
    struct kube_list_request *request = &listing->request;
    struct err failure = {0};
    if (kube_list_path(request, listing->continue_token, &path, err) < 0)
        return -1;
    struct kube_request page_request = {.method = "GET",
        .path = str_text(&path),
        .accept = request->is_metadata_only ? KUBE_ACCEPT_METADATA_LIST : NULL,
        .timeout_ms = request->timeout_ms,
        .answer_bytes_max = LIMIT_KUBE_LIST_BYTES};
    if (kube_client_call(listing->client, &page_request, &answer, &status, &failure) < 0) {
        if (has_expired(listing, &status)) {
            begin_anew(listing);
            return 0;
        }
        if (ret_status) {
            kube_status_done(ret_status);
            *ret_status = status;
            status = (struct kube_status){0};
        }
        if (err)
            *err = failure;
        return -1;
    }
    char *version, *token;
    if (kube_list_page(str_text(&answer.body), answer.body.size, listing->events->item, listing->ctx,
            &version, &token, err) < 0)
        return err_wrap(err, "%s", request->resource->plural);
    listing_done(listing);
    listing->version = version;
    listing->continue_token = token;
    return 0;
}

int kube_list(struct kube_client *client, const struct kube_list_request *request,
    const struct kube_list_events *events, void *ctx, char **ret_resource_version,
    struct kube_status *ret_status, struct err *err)
{
    _cleanup_(listing_done) struct listing listing = {
        .client = client, .request = *request, .events = events, .ctx = ctx};
    if (listing.request.page_count_max == 0)
        listing.request.page_count_max = KUBE_LIST_PAGE;
    do { /* ends when the server has no further page; they expire once at most */
        if (next_page(&listing, ret_status, err) < 0)
            return -1;
    } while (!listing.continue_token || *listing.continue_token);
    if (ret_resource_version)
        *ret_resource_version = steal_ptr(&listing.version);
    return 0;
}

int kube_list_since(struct kube_client *client, const struct kube_list_request *request, uint64_t version,
    const struct kube_list_events *events, void *ctx, uint64_t *ret_version, struct err *err)
{
    struct kube_list_request since = *request;
    _cleanup_(cleanup_free) char *wanted = xasprintf("%" PRIu64, version);
    _cleanup_(cleanup_free) char *listed = NULL;
    since.resource_version = version ? wanted : NULL;
    int failed = kube_list(client, &since, events, ctx, &listed, NULL, version ? NULL : err);
    if (failed && version) { /* its cache is behind */
        events->restart(ctx);
        since.resource_version = NULL;
        failed = kube_list(client, &since, events, ctx, &listed, NULL, err);
    }
    if (failed)
        return -1;
    if (ret_version && text_to_u64(listed, UINT64_MAX, ret_version, err) < 0)
        return err_wrap(err, "the version of a list");
    return 0;
}
