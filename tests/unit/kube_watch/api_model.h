/* An API server of tests, as text: objects of one resource, their history, and answers to what a reflector
 * asks, with a cache that lags behind and with faults. Nothing here waits: time is the caller's. */
#ifndef UNIT_KUBE_WATCH_API_MODEL_H
#define UNIT_KUBE_WATCH_API_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/vec.h"
#include "kube/reflector.h"
#include "kube/status.h"

enum { MODEL_NAMES = 12 };

struct model_change {
    uint64_t version;
    int name; /* -1: of another resource */
    bool is_removal;
    unsigned uid;
    unsigned color;
};

struct api_model {
    struct rng rng;
    VEC(struct model_change) history; /* by version, which is the index + 1 */
    uint64_t compacted;               /* what is older cannot be watched from */
    uint64_t cached;                  /* what the cache has seen; never 0 */
    bool can_stream;
    bool has_faults;
    bool lies; /* states may be older than what was asked for */
    unsigned uids;
};

struct model_object {
    uint64_t version; /* 0: does not exist */
    unsigned uid;
    unsigned color;
};

void api_model_init(struct api_model *model, uint64_t seed, bool can_stream);
void api_model_done(struct api_model *model);
uint64_t api_model_version(const struct api_model *model);
/* One write, by chance. */
void api_model_write(struct api_model *model);
/* All objects at that version. */
void api_model_state(
    const struct api_model *model, uint64_t version, struct model_object objects[MODEL_NAMES]);

/* An answer. A refusal has status; a watch has events up to next, more later. */
struct model_answer {
    struct err err;
    struct kube_status status;
    bool is_refused;
    struct str text; /* a page, or the first lines of a watch */
    uint64_t next;   /* events of the watch up to this version were sent */
};

void api_model_answer(
    struct api_model *model, const struct reflector_request *request, struct model_answer *ret_answer);
void model_answer_done(struct model_answer *answer);
/* Appends the lines of a watch between answer->next and what the cache has seen. */
void api_model_events(struct api_model *model, struct model_answer *answer);
void api_model_bookmark(struct api_model *model, struct model_answer *answer);
/* A line that ends the watch. */
void api_model_error_line(struct str *text, int code, const char *reason);

#endif
