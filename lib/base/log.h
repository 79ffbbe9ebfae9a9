/* Log lines as JSON objects, one write() each, so that lines of threads and processes do not mix:
 *
 *     log_event(LOG_INFO, "unit placed", "unit", unit->name, "epoch", log_number(epoch), NULL);
 *     {"time":"2026-11-23T12:00:00.123Z","level":"info","text":"unit placed","unit":"bank/ledger","epoch":7}
 *
 * A library never logs: it returns errors, and only main loops log, once. Keys in use: system, node, unit,
 * actor, incarnation, epoch, peer, error. No secrets, ever. Thread: any. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

struct err;

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

/* Where lines go and from which level on; before it is called: stderr, LOG_INFO. fd stays the caller's. */
void log_init(int fd, enum log_level level);
/* A key and value that every later line carries, e.g. "system", "bank"; set them before threads start. At
 * most 4, the texts are copied. */
void log_set_common(const char *key, const char *value);
bool log_enabled(enum log_level level);

/* Pairs of texts, ended by a NULL in the place of a key. A NULL value is written as null. */
__attribute__((sentinel)) void log_event(enum log_level level, const char *text, ...);

/* A number as a value of log_event: written without quotes. The text lives until the end of the enclosing
 * block. */
enum { LOG_NUMBER_BYTES = 24 };
#define log_number(number) log_format_number((char[LOG_NUMBER_BYTES]){0}, (int64_t)(number))
const char *log_format_number(char *buffer, int64_t number);

/* "debug", "info", "warning", "error"; ERR_INVALID otherwise. */
int log_level_parse(const char *text, enum log_level *ret_level, struct err *err);

#endif
