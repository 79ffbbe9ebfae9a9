#include "certs/certs.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "certs/x509.h"

void certs_pair_done(struct certs_pair *pair)
{
    free(pair->chain);
    free(pair->key);
    *pair = (struct certs_pair){NULL, NULL};
}

static int take_pair(X509 *certificate, EVP_PKEY *key, struct certs_pair *ret_pair, struct err *err)
{
    struct certs_pair pair = {NULL, NULL};
    if (x509_append(&pair.chain, certificate, err) < 0 || x509_append_key(&pair.key, key, err) < 0) {
        certs_pair_done(&pair);
        return -1;
    }
    *ret_pair = pair;
    return 0;
}

int certs_make_authority(
    const char *system, const char *system_uid, int64_t now_s, struct certs_pair *ret_pair, struct err *err)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = x509_new_key(err);
    _cleanup_(X509_freep) X509 *made = key ? x509_new_authority(key, system, system_uid, now_s, err) : NULL;
    return made ? take_pair(made, key, ret_pair, err) : -1;
}

int certs_make_leaf(const struct certs_pair *authority, enum role role, const char *system_uid, int64_t now_s,
    int64_t life_s, struct certs_pair *ret_pair, struct err *err)
{
    struct x509_list authorities = {.count = 0};
    struct x509_keys keys = {.count = 0};
    int result = -1;
    if (x509_read(authority->chain, &authorities, err) == 0 &&
        x509_read_keys(authority->key, &keys, err) == 0) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = x509_new_key(err);
        _cleanup_(X509_freep) X509 *made = NULL;
        if (key)
            made =
                x509_new_leaf(key, authorities.items[0], keys.items[0], role, system_uid, now_s, life_s, err);
        if (made)
            result = take_pair(made, key, ret_pair, err);
    }
    x509_list_done(&authorities);
    x509_keys_done(&keys);
    return result;
}

int certs_expiry(const char *chain, int64_t *ret_expiry_s, struct err *err)
{
    struct x509_list list;
    if (x509_read(chain, &list, err) < 0)
        return -1;
    *ret_expiry_s = x509_end_s(list.items[0]);
    x509_list_done(&list);
    return 0;
}

int certs_verify(const char *chain, const char *key, const char *authorities, enum role role,
    const char *system_uid, int64_t now_s, struct err *err)
{
    struct x509_list leaves = {.count = 0};
    struct x509_list trusted = {.count = 0};
    struct x509_keys keys = {.count = 0};
    int result = -1;
    if (x509_read(chain, &leaves, err) < 0)
        (void)err_wrap(err, "certificate");
    else if (x509_read_keys(key, &keys, err) < 0)
        (void)err_wrap(err, "key");
    else if (x509_read(authorities, &trusted, err) < 0)
        (void)err_wrap(err, "authority");
    else
        result = x509_verify(leaves.items[0], keys.items[0], &trusted, role, system_uid, now_s, err);
    x509_list_done(&leaves);
    x509_list_done(&trusted);
    x509_keys_done(&keys);
    return result;
}
