/* support/tls.h: certificates of test systems, valid now. Failures fail the cmocka test; include <cmocka.h>
 * first. */
#pragma once

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "certs/certs.h"
#include "rpc/creds.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TLS_HOUR_S = 3600, TLS_RELOAD_S = 1 };

__attribute__((unused)) static int64_t tls_now_s(void)
{
    return clock_wall_ms(clock_system()) / MS_PER_S;
}

__attribute__((unused)) static struct certs_pair tls_authority(const char *system_uid)
{
    struct certs_pair authority;
    struct err err = {0};
    if (certs_make_authority("test", system_uid, tls_now_s(), &authority, &err) < 0)
        fail_msg("%s", err.text);
    return authority;
}

/* Made `made_s` from now (which may be negative), for an hour. */
__attribute__((unused)) static struct certs_pair tls_leaf_of(
    const struct certs_pair *authority, enum role role, const char *system_uid, int64_t made_s)
{
    struct certs_pair leaf;
    struct err err = {0};
    if (certs_make_leaf(authority, role, system_uid, tls_now_s() + made_s, TLS_HOUR_S, &leaf, &err) < 0)
        fail_msg("%s", err.text);
    return leaf;
}

/* Trusts `trusted`, shows a leaf of `authority`. */
__attribute__((unused)) static struct rpc_creds *tls_creds_of(const struct certs_pair *trusted,
    const struct certs_pair *authority, enum role role, const char *system_uid, int64_t made_s)
{
    struct certs_pair leaf = tls_leaf_of(authority, role, system_uid, made_s);
    struct rpc_creds *creds = NULL;
    struct err err = {0};
    if (rpc_creds_from_memory(trusted->chain, leaf.chain, leaf.key, &creds, &err) < 0)
        fail_msg("%s", err.text);
    certs_pair_done(&leaf);
    return creds;
}

__attribute__((unused)) static struct rpc_creds *tls_creds(
    const struct certs_pair *authority, enum role role, const char *system_uid)
{
    return tls_creds_of(authority, authority, role, system_uid, 0);
}

__attribute__((unused)) static void tls_write(const char *folder, const char *name, const char *text)
{
    char *path = file_join(folder, name);
    assert_int_equal(file_write_atomically(path, text, strlen(text), S_IRUSR | S_IWUSR, NULL), 0);
    free(path);
}

/* Links `name` in `folder` to `target`, in place of what was there, in one step. */
__attribute__((unused)) static void tls_link(const char *folder, const char *name, const char *target)
{
    char *fresh = xasprintf("%s/..fresh", folder);
    char *path = file_join(folder, name);
    assert_int_equal(symlink(target, fresh), 0);
    assert_int_equal(rename(fresh, path), 0);
    free(fresh);
    free(path);
}

/* As kubelet mounts a Secret: the files are links through the link ..data, which is replaced as a whole.
 * `version` is a name that was not used before. */
__attribute__((unused)) static void tls_write_folder(
    const char *folder, const char *version, const char *authorities, const struct certs_pair *leaf)
{
    char *inner = file_join(folder, version);
    assert_int_equal(file_make_folder(inner, S_IRWXU, NULL), 0);
    tls_write(inner, "ca.crt", authorities);
    tls_write(inner, "tls.crt", leaf->chain);
    tls_write(inner, "tls.key", leaf->key);
    tls_link(folder, "..data", version);
    tls_link(folder, "ca.crt", "..data/ca.crt");
    tls_link(folder, "tls.crt", "..data/tls.crt");
    tls_link(folder, "tls.key", "..data/tls.key");
    free(inner);
}
