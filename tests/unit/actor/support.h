/* A runtime with the behaviors of a test, and a log that its actors write and the test waits on. One at a
 * time. */
#ifndef UNIT_ACTOR_SUPPORT_H
#define UNIT_ACTOR_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "actor/system.h"
#include "base/err.h"

enum { TEST_NODE_UID = 0x1234 };

/* Starts a system with that many workers; behaviors become library "test". */
struct actor_system *support_start(unsigned workers, const struct histrio_behavior *const *behaviors);
/* The same with outbound functions. */
struct actor_system *support_start_with(
    unsigned workers, const struct histrio_behavior *const *behaviors, const struct actor_outbound *outbound);
/* The same with actors outside of the process. */
struct actor_system *support_start_hosting(
    unsigned workers, const struct histrio_behavior *const *behaviors, const struct actor_hosting *hosting);
void support_stop(void);
struct actor_system *support_system(void);

/* Starts a unit with one actor, or with a supervisor and children, and waits until it runs. */
void support_unit(const char *name, const char *behavior);
void support_unit_spec(const struct actor_unit_spec *spec);
/* The same, but for hosted actors, which may still be starting. */
void support_unit_present(const struct actor_unit_spec *spec);
void support_unit_stop(const char *name);

/* The log: one word or text an entry. Any thread. */
__attribute__((format(printf, 1, 2))) void note(const char *format, ...);
/* Waits until there are entries with that text, at most 20 s. */
void wait_note(const char *text);
void wait_notes(const char *text, unsigned count);
unsigned count_notes(const char *text);
/* All entries so far that begin with prefix, joined by blanks; valid until the next call. */
const char *notes(const char *prefix);

struct answer {
    enum histrio_error error;
    uint8_t value[512];
    size_t size;
};
/* Asks from outside, and waits. */
struct answer ask(const char *target, const char *type, const void *value, size_t size, uint32_t timeout_ms);
enum histrio_error ask_error(const char *target, const char *type);
void tell(const char *target, const char *type, const char *text);

/* A message's value as a text, cut to 200. Valid until the next call on this thread. */
const char *value_text(const struct histrio_message *message);
bool is_type(const struct histrio_message *message, const char *type);
struct histrio_ref text_ref(const char *name);

#endif
