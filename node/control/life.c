#include "node_control/life.h"

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void life_done(struct life *life)
{
    vec_done(&life->earlier);
}

void life_advance(struct life *life, const struct life_end *ended, uint64_t next_uid)
{
    if (life->has_previous) {
        if (life->earlier.count == LIFE_EARLIER_MAX)
            vec_remove_at(&life->earlier, 0);
        vec_push(&life->earlier, life->previous.node_uid);
    }
    life->previous = *ended;
    life->has_previous = true;
    life->node_uid = next_uid;
}

char *life_uid_format(uint64_t uid, char *buffer)
{
    (void)snprintf(buffer, LIFE_UID_BYTES, "%016" PRIx64, uid); /* always 16 digits */
    return buffer;
}

int life_uid_parse(const char *text, uint64_t *ret_uid, struct err *err)
{
    uint64_t uid = 0;
    size_t digits = strspn(text, "0123456789abcdef");
    if (digits != LIFE_UID_BYTES - 1 || text[digits])
        return err_set(err, ERR_INVALID, "uid \"%.32s\" is not 16 hex digits", text);
    for (size_t i = 0; i < digits; i++)
        uid = uid << 4 | (uint64_t)(text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
    *ret_uid = uid;
    return 0;
}

static void set_uid(struct json *object, const char *key, uint64_t uid)
{
    char text[LIFE_UID_BYTES];
    (void)json_set_string(object, key, life_uid_format(uid, text)); /* the node is of no use here */
}

void life_write(const struct life *life, struct str *out)
{
    _cleanup_(json_freep) struct json *root = json_object_new();
    char text[LIFE_UID_BYTES];
    set_uid(root, "uid", life->node_uid);
    if (life->has_previous) {
        struct json *previous = json_set_object(root, "previous");
        set_uid(previous, "uid", life->previous.node_uid);
        json_set_int(previous, "exitCode", life->previous.exit_code);
        json_set_int(previous, "signal", life->previous.signal);
        json_set_string(previous, "unit", life->previous.unit);
        json_set_string(previous, "actor", life->previous.actor);
        json_set_string(previous, "backtrace", life->previous.backtrace);
    }
    struct json *earlier = json_set_array(root, "earlier");
    vec_for_each (uid, &life->earlier)
        json_add_string(earlier, life_uid_format(*uid, text));
    json_write(root, JSON_COMPACT, out);
}

static int read_uid(const struct json *node, uint64_t *ret_uid, struct err *err)
{
    const char *text = NULL;
    if (json_read_string(node, LIFE_UID_BYTES, &text, err) < 0)
        return err_wrap(err, "uid");
    return life_uid_parse(text, ret_uid, err);
}

static int read_text(const struct json *object, const char *key, char *buffer, size_t size, struct err *err)
{
    const char *text = NULL;
    if (json_read_string(json_get(object, key), size - 1, &text, err) < 0)
        return err_wrap(err, "%s", key);
    memcpy(buffer, text, strlen(text) + 1);
    return 0;
}

static int read_end(const struct json *object, struct life_end *end, struct err *err)
{
    int64_t exit_code = 0;
    int64_t signal = 0;
    if (read_uid(json_get(object, "uid"), &end->node_uid, err) < 0 ||
        json_read_int(json_get(object, "exitCode"), 0, 255, &exit_code, err) < 0 ||
        json_read_int(json_get(object, "signal"), 0, 255, &signal, err) < 0 ||
        read_text(object, "unit", end->unit, sizeof(end->unit), err) < 0 ||
        read_text(object, "actor", end->actor, sizeof(end->actor), err) < 0 ||
        read_text(object, "backtrace", end->backtrace, sizeof(end->backtrace), err) < 0)
        return err_wrap(err, "previous");
    end->exit_code = (int)exit_code;
    end->signal = (int)signal;
    return 0;
}

int life_read(const char *text, size_t size, struct life *ret_life, struct err *err)
{
    _cleanup_(json_freep) struct json *root = NULL;
    _cleanup_(life_done) struct life life = {0};
    if (json_parse(text, size, &root, err) < 0 || read_uid(json_get(root, "uid"), &life.node_uid, err) < 0)
        return err_wrap(err, "life");
    const struct json *previous = json_get(root, "previous");
    if (previous) {
        if (read_end(previous, &life.previous, err) < 0)
            return err_wrap(err, "life");
        life.has_previous = true;
    }
    const struct json *earlier = json_get(root, "earlier");
    if (json_count(earlier) > LIFE_EARLIER_MAX)
        return err_set(err, ERR_LIMIT, "life: more than %d earlier uids", LIFE_EARLIER_MAX);
    for (size_t i = 0; i < json_count(earlier); i++) {
        uint64_t uid = 0;
        if (read_uid(json_at(earlier, i), &uid, err) < 0)
            return err_wrap(err, "life: earlier");
        vec_push(&life.earlier, uid);
    }
    *ret_life = life;
    life = (struct life){0};
    return 0;
}
