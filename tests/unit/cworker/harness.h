/* The node's end of the socket of one worker: frames in, frames out. */
#ifndef HARNESS_H
#define HARNESS_H

#include "cworker/cworker.h"
#include "host/frame.h"
#include "host/page.h"

#include <histrio/actor.h>

#define SELF ((struct histrio_ref){77, 1000})

/* A worker with the test's library, which has said HELLO; node numbers texts from 1. */
void harness_start(void);
void harness_stop(void);

/* A frame from the node; NUL-ended texts as payload. */
void feed(struct frame frame, const void *payload, size_t size);
void feed_text(struct frame frame, const char *text);
/* START of "test.subject" in that slot, delivery `number`. */
void feed_start(uint32_t slot, uint64_t number);
void feed_start_of(uint32_t slot, uint64_t number, const char *behavior);
/* An ask or tell for that slot of a method that says what to do, with one text as its value. */
void feed_deed(enum frame_kind kind, uint32_t slot, uint64_t number, const char *deed, const char *text);
/* The number of a text of the node's side. */
uint32_t feed_intern(const char *text);

/* What was fed goes to the socket, which step() sees to otherwise. */
void feed_now(void);
/* Has the worker handle what was fed. False: its connection is over. */
bool step(void);
/* The same, when something comes within that time. */
bool step_within(int timeout_ms);

/* Takes what it has said so far off the socket, which holds a few hundred answers that were written one by
 * one: then the worker waits for a reader, and there is none but this thread. */
void hear(void);
/* The next frame that it said, INTERN aside; fails the test when there is none. */
struct frame said(enum frame_kind kind);
/* Of the last one: its payload as a text, cut at 4 KiB, and the text behind a number. */
const char *said_payload(void);
size_t said_size(void);
const char *said_text(uint32_t number);
void said_nothing(void);

/* The page as the node sees it. */
struct page_view page_now(void);

/* Lines that behaviors noted, since the last call, joined by spaces. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *noted(void);

/* What the page and the socket say while a handler runs: called by the deed "look". */
extern void (*while_handling)(struct histrio_context *ctx);

#endif
