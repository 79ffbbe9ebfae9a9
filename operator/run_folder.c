#include "operator/run_folder.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CREDENTIAL_BYTES = 16, CREDENTIAL_TEXT_MAX = 1024 };

static const char longest_socket[] = "/nodes/999999/control.sock";

static const char *environment(const char *name)
{
    const char *text = getenv(name);
    return text && *text ? text : NULL;
}

char *run_folder_base(void)
{
    const char *folder = environment("HISTRIO_RUN_DIR");
    if (folder)
        return xstrdup(folder);
    folder = environment("XDG_RUNTIME_DIR");
    if (folder)
        return file_join(folder, "histrio");
    return xasprintf("/tmp/histrio-%u", (unsigned)getuid());
}

char *run_folder_path(const char *system)
{
    _cleanup_(cleanup_free) char *base = run_folder_base();
    return file_join(base, system);
}

char *run_folder_state_path(const char *system)
{
    _cleanup_(cleanup_free) char *base = NULL;
    const char *folder = environment("HISTRIO_STATE_DIR");
    if (folder)
        base = xstrdup(folder);
    else if ((folder = environment("XDG_STATE_HOME")))
        base = file_join(folder, "histrio");
    else
        base = xasprintf("%s/.local/state/histrio", environment("HOME") ? environment("HOME") : "/tmp");
    return file_join(base, system);
}

char *run_folder_hex(const void *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    char *text = xmalloc(2 * size + 1);
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * size] = '\0';
    return text;
}

static unsigned hex_digit(char character)
{
    return character <= '9' ? (unsigned)(character - '0') : (unsigned)(character - 'a' + 10);
}

int run_folder_unhex(const char *text, uint8_t **ret_data, size_t *ret_size, struct err *err)
{
    size_t digits = strlen(text);
    if (digits % 2 || strspn(text, "0123456789abcdef") != digits)
        return err_set(err, ERR_INVALID, "not an even number of hex digits");
    uint8_t *data = xmalloc(digits / 2 + 1);
    for (size_t i = 0; i < digits / 2; i++)
        data[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
    *ret_data = data;
    *ret_size = digits / 2;
    return 0;
}

/* In /tmp anybody can make a folder of our name first: it must be ours, and nobody else may look into it. */
static int check_owner(const char *path, struct err *err)
{
    struct stat status;
    if (lstat(path, &status) < 0)
        return err_set_errno(err, errno, "run folder \"%s\"", path);
    if (!S_ISDIR(status.st_mode) || status.st_uid != getuid())
        return err_set(err, ERR_DENIED,
            "run folder \"%s\" belongs to somebody else: set HISTRIO_RUN_DIR to a folder of your own", path);
    if ((status.st_mode & 077) && chmod(path, 0700) < 0)
        return err_set_errno(err, errno, "run folder \"%s\"", path);
    return 0;
}

static void remove_leftovers(const char *path)
{
    static const char *const names[] = {"run.sock", "credential", "run.json", "nodes"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        _cleanup_(cleanup_free) char *name = file_join(path, names[i]);
        (void)file_remove_tree(name, NULL); /* whoever needs the name free says so when it is not */
    }
}

/* The logs of the run before this one stay readable, those of earlier ones go: node names are never used
 * again, so they would pile up. */
static void keep_last_logs(const char *path)
{
    _cleanup_(cleanup_free) char *logs = file_join(path, "logs");
    _cleanup_(cleanup_free) char *old = file_join(path, "logs.old");
    if (access(logs, F_OK) < 0)
        return;
    (void)file_remove_tree(
        old, NULL); /* without it the rename fails, and logs pile up: no reason not to run */
    (void)rename(logs, old);
}

static int write_identity(
    struct run_folder *folder, const char *system, const char *system_uid, struct err *err)
{
    uint8_t secret[CREDENTIAL_BYTES];
    rng_system_bytes(secret, sizeof(secret));
    folder->credential = run_folder_hex(secret, sizeof(secret));
    _cleanup_(cleanup_free) char *credential_path = file_join(folder->path, "credential");
    if (file_write_atomically(credential_path, folder->credential, strlen(folder->credential), 0600, err) < 0)
        return -1;
    _cleanup_(json_freep) struct json *document = json_object_new();
    json_set_string(document, "system", system);
    json_set_string(document, "systemUid", system_uid);
    json_set_int(document, "pid", getpid());
    json_set_int(document, "startedAtMs", clock_wall_ms(clock_system()));
    _cleanup_(cleanup_free) char *text = json_to_text(document, JSON_PRETTY);
    _cleanup_(cleanup_free) char *path = file_join(folder->path, "run.json");
    return file_write_atomically(path, text, strlen(text), 0600, err);
}

int run_folder_open(
    const char *system, const char *system_uid, struct run_folder *ret_folder, struct err *err)
{
    struct run_folder folder = {.path = run_folder_path(system), .lock_fd = -1};
    _cleanup_(cleanup_free) char *base = run_folder_base();
    _cleanup_(cleanup_free) char *lock = file_join(folder.path, "lock");
    struct sockaddr_un address;
    size_t longest = strlen(folder.path) + strlen(longest_socket);
    int failed = 0;
    if (folder.path[0] != '/')
        failed = err_set(
            err, ERR_INVALID, "run folder \"%s\" must be absolute: change HISTRIO_RUN_DIR", folder.path);
    else if (longest >= sizeof(address.sun_path))
        failed = err_set(err, ERR_INVALID,
            "run folder \"%s\" is too long for sockets by %zu bytes: set HISTRIO_RUN_DIR to a shorter one",
            folder.path, longest - sizeof(address.sun_path) + 1);
    else if (file_make_folder(base, 0700, err) < 0 ||
             (!environment("HISTRIO_RUN_DIR") && check_owner(base, err) < 0) ||
             file_make_folder(folder.path, 0700, err) < 0 || check_owner(folder.path, err) < 0)
        failed = -1;
    else if (file_lock(lock, &folder.lock_fd, err) < 0)
        failed =
            err && err->kind == ERR_CONFLICT
                ? err_set(err, ERR_CONFLICT,
                      "system \"%s\" runs already: stop it with `histrio stop %s`, or change metadata.name",
                      system, system)
                : -1;
    if (!failed) {
        remove_leftovers(folder.path);
        keep_last_logs(folder.path);
        failed = write_identity(&folder, system, system_uid, err);
    }
    if (failed) {
        run_folder_close(&folder);
        return -1;
    }
    *ret_folder = folder;
    return 0;
}

void run_folder_close(struct run_folder *folder)
{
    if (folder->path && folder->lock_fd > 0) {
        remove_leftovers(folder->path);
        (void)close(folder->lock_fd);
    }
    free(folder->path);
    free(folder->credential);
    *folder = (struct run_folder){.lock_fd = -1};
}

int run_folder_find(const char *system, char **ret_address, char **ret_credential, struct err *err)
{
    _cleanup_(cleanup_free) char *path = run_folder_path(system);
    _cleanup_(cleanup_free) char *credential_path = file_join(path, "credential");
    _cleanup_(str_done) struct str credential = STR_INIT(CREDENTIAL_TEXT_MAX);
    if (!text_is_dns_label(system) ||
        file_read(credential_path, CREDENTIAL_TEXT_MAX, &credential, NULL) < 0 ||
        !run_folder_is_alive(system))
        return err_set(
            err, ERR_NOT_FOUND, "no system \"%s\" runs: `histrio get systems` lists those that do", system);
    *ret_address = xasprintf("unix:%s/run.sock", path);
    *ret_credential = str_steal(&credential);
    return 0;
}

bool run_folder_is_alive(const char *system)
{
    _cleanup_(cleanup_free) char *path = run_folder_path(system);
    _cleanup_(cleanup_free) char *lock = file_join(path, "lock");
    _cleanup_(cleanup_close) int fd = open(lock, O_RDWR | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

void run_names_done(struct run_names *names)
{
    vec_for_each (name, names)
        free(*name);
    vec_done(names);
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

int run_folder_list(struct run_names *ret_names, struct err *err)
{
    _cleanup_(cleanup_free) char *base = run_folder_base();
    struct run_names names = {0};
    struct dirent *entry;
    DIR *folder = opendir(base);
    if (!folder && errno != ENOENT)
        return err_set_errno(err, errno, "run folder \"%s\"", base);
    while (folder && (entry = readdir(folder))) {
        if (text_is_dns_label(entry->d_name) && run_folder_is_alive(entry->d_name))
            vec_push(&names, xstrdup(entry->d_name));
    }
    if (folder)
        (void)closedir(folder);
    if (names.count > 1)
        qsort(names.items, names.count, sizeof(char *), compare_names);
    *ret_names = names;
    return 0;
}
