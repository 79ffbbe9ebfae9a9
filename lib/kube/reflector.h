/* What to ask the API server next so that a copy of one resource stays equal to it: a pure state machine.
 * Time and what came in go in, the next request and what to do with each event come out; follower.h does it.
 *
 * Invariants:
 *  1. A watch begins where the state that it continues was taken, so nothing falls in between.
 *  2. The version of the copy never goes back. A state or an event that is older than it is not believed.
 *  3. A state replaces the copy as a whole or not at all.
 *  4. No request follows a failed one at once, unless it asks for something else.
 *
 * Thread: one at a time. */
#ifndef KUBE_REFLECTOR_H
#define KUBE_REFLECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/backoff.h"
#include "base/rng.h"
#include "kube/watch.h"

struct err;
struct kube_status;

/* Servers send a bookmark about every minute; a watch that says nothing for longer may be on a dead
 * connection. */
enum { REFLECTOR_SILENCE_MS = 90 * 1000, REFLECTOR_FIRST_SILENCE_MS = 20 * 1000 };
enum { REFLECTOR_PAGE = 500 };

enum reflector_step {
    REFLECTOR_WAIT,   /* nothing to ask for until until_ms */
    REFLECTOR_LIST,   /* a page of the present state */
    REFLECTOR_STREAM, /* a watch that begins with the present state (sendInitialEvents) */
    REFLECTOR_WATCH,  /* a watch from version */
};

struct reflector_request {
    enum reflector_step step;
    int64_t until_ms;
    char version[24];           /* resourceVersion to ask for; "" for the newest */
    const char *continue_token; /* LIST: "" for the first page; belongs to the reflector */
    int64_t page_count_max;     /* LIST: -1 for all in one */
    int64_t timeout_s;          /* STREAM, WATCH: timeoutSeconds */
};

/* How a request ended. */
enum reflector_outcome {
    REFLECTOR_ENDED,             /* as it should */
    REFLECTOR_BROKEN,            /* the connection broke */
    REFLECTOR_UNREACHABLE,       /* no connection, or the server is overloaded: it did nothing */
    REFLECTOR_SILENT,            /* given up, nothing came for too long */
    REFLECTOR_EXPIRED,           /* 410: the version or the token is too old */
    REFLECTOR_VERSION_TOO_LARGE, /* this server has not seen that version */
    REFLECTOR_UNSUPPORTED,       /* 400, 422: it does not know what was asked for */
    REFLECTOR_TOO_BIG,           /* beyond a limit of ours */
    REFLECTOR_SENSELESS,         /* out of order, or not what the protocol says */
    REFLECTOR_STALE,             /* older than what is known to exist */
    REFLECTOR_REFUSED,           /* any other refusal */
};

/* What is to be done with something that came in. */
enum reflector_verdict {
    REFLECTOR_IGNORE,
    REFLECTOR_STAGE,  /* to the state that is being gathered */
    REFLECTOR_COMMIT, /* what was gathered replaces the copy, at reflector.version */
    REFLECTOR_APPLY,  /* to the copy, which then is at reflector.version */
    REFLECTOR_MARK,   /* the copy is at reflector.version, nothing else changed */
    REFLECTOR_BREAK,  /* end the request with the outcome that came along */
};

struct reflector {
    uint64_t version; /* of the copy; 0 before the first commit */

    /* Private. */
    uint64_t floor;           /* known to exist */
    enum reflector_step open; /* what was asked for and has not ended; WAIT for nothing */
    bool has_state;           /* a watch may begin at version */
    bool is_staging;          /* the open request gathers a state */
    bool asks_newest;         /* the version is not available: the next state is the newest */
    bool can_stream;
    bool lists_once;      /* the last stream failed */
    bool is_unpaged;      /* pages expired: the next list comes in one */
    char *continue_token; /* NULL: the next list begins anew */
    int64_t page_count_max;
    int64_t not_before_ms;
    int64_t opened_ms;
    int64_t heard_ms;
    uint64_t heard; /* events of the open request */
    char asked[24]; /* the version of the open request */
    struct backoff backoff;
    struct rng rng;
};

/* version: known to exist, 0 for none. */
void reflector_init(struct reflector *reflector, bool can_stream, uint64_t version, uint64_t seed);
void reflector_done(struct reflector *reflector);

/* What to do now. A request counts as begun; until it ended, this gives the time of reflector_is_silent. A
 * LIST with no token and a STREAM begin a new state: what was gathered is dropped. */
void reflector_next(struct reflector *reflector, int64_t now_ms, struct reflector_request *ret_request);

/* Something came on the open request, be it half a line. */
void reflector_heard(struct reflector *reflector, int64_t now_ms);
/* The open request has been silent for too long: to be ended as REFLECTOR_SILENT. */
bool reflector_is_silent(const struct reflector *reflector, int64_t now_ms);

/* A page was gathered: COMMIT, STAGE (another one follows) or BREAK. The request has ended as REFLECTOR_ENDED
 * then, or is to be ended with *ret_outcome. */
enum reflector_verdict reflector_page(struct reflector *reflector, uint64_t version,
    const char *continue_token, enum reflector_outcome *ret_outcome);
/* An event but ERROR. known_version: of the object in the copy, 0 when it is not there. */
enum reflector_verdict reflector_event(struct reflector *reflector, const struct kube_watch_event *event,
    uint64_t known_version, enum reflector_outcome *ret_outcome);
/* The open request ended. retry_after_ms: asked for by the server, or 0. */
void reflector_ended(
    struct reflector *reflector, int64_t now_ms, enum reflector_outcome outcome, int64_t retry_after_ms);

/* version is known to exist. True when the open request is to be ended as REFLECTOR_STALE, to get there. */
bool reflector_require(struct reflector *reflector, uint64_t version);

/* By how a request ended: err NULL for well; status NULL when the server did not refuse. */
enum reflector_outcome reflector_outcome_of(
    const struct err *err, const struct kube_status *status, bool has_answer);

#endif
