#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "certs/certs.h"
#include "certs/x509.h"

int x509_error(struct err *err, const char *what)
{
    char text[160] = "no reason given";
    unsigned long code = ERR_peek_last_error();
    if (code != 0)
        ERR_error_string_n(code, text, sizeof(text));
    ERR_clear_error();
    return err_set(err, ERR_INVALID, "%s: %s", what, text);
}

/* Else OpenSSL asks at the terminal. */
static int no_password(char *buffer, int size, int is_writing, void *ctx)
{
    (void)buffer;
    (void)size;
    (void)is_writing;
    (void)ctx;
    return 0;
}

static int open_text(const char *text, BIO **ret_bio, struct err *err)
{
    size_t size = text ? strnlen(text, X509_TEXT_BYTES_MAX + 1) : 0;
    if (size > X509_TEXT_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "it is longer than %d bytes", X509_TEXT_BYTES_MAX);
    BIO *bio = BIO_new_mem_buf(size > 0 ? text : "", (int)size);
    if (!bio)
        return x509_error(err, "a buffer");
    *ret_bio = bio;
    return 0;
}

/* Is there another block of PEM? Asked before reading, as OpenSSL's error at the end of a text looks like any
 * other. */
static bool has_more(BIO *bio)
{
    static const char begin[] = "-----BEGIN ";
    char *data;
    long size = BIO_get_mem_data(bio, &data);
    return size > 0 && memmem(data, (size_t)size, begin, sizeof(begin) - 1);
}

static int check_count(int count, bool is_all, const char *what, struct err *err)
{
    if (count == 0)
        return err_set(err, ERR_INVALID, "there is no %s", what);
    return is_all ? 0 : err_set(err, ERR_LIMIT, "there is more than %d times a %s", count, what);
}

int x509_read(const char *text, struct x509_list *ret_list, struct err *err)
{
    struct x509_list list = {.count = 0};
    BIO *bio;
    int result = 0;
    if (open_text(text, &bio, err) < 0)
        return -1;
    while (result == 0 && list.count < X509_ITEMS_MAX && has_more(bio)) {
        X509 *item = PEM_read_bio_X509(bio, NULL, no_password, NULL);
        if (item)
            list.items[list.count++] = item;
        else
            result = x509_error(err, "certificate");
    }
    if (result == 0)
        result = check_count(list.count, !has_more(bio), "certificate", err);
    BIO_free(bio);
    if (result == 0)
        *ret_list = list;
    else
        x509_list_done(&list);
    return result;
}

int x509_read_keys(const char *text, struct x509_keys *ret_keys, struct err *err)
{
    struct x509_keys keys = {.count = 0};
    BIO *bio;
    int result = 0;
    if (open_text(text, &bio, err) < 0)
        return -1;
    while (result == 0 && keys.count < X509_ITEMS_MAX && has_more(bio)) {
        EVP_PKEY *item = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
        if (item)
            keys.items[keys.count++] = item;
        else
            result = x509_error(err, "private key");
    }
    if (result == 0)
        result = check_count(keys.count, !has_more(bio), "private key", err);
    BIO_free(bio);
    if (result == 0)
        *ret_keys = keys;
    else
        x509_keys_done(&keys);
    return result;
}

void x509_list_done(struct x509_list *list)
{
    for (int i = 0; i < list->count; i++)
        X509_free(list->items[i]);
    list->count = 0;
}

void x509_keys_done(struct x509_keys *keys)
{
    for (int i = 0; i < keys->count; i++)
        EVP_PKEY_free(keys->items[i]);
    keys->count = 0;
}

static void append_bio(char **text, BIO *bio)
{
    char *data;
    size_t size = (size_t)BIO_get_mem_data(bio, &data);
    size_t before = *text ? strlen(*text) : 0;
    *text = xrealloc(*text, before + size + 1);
    memcpy(*text + before, data, size);
    (*text)[before + size] = 0;
}

int x509_append(char **text, X509 *certificate, struct err *err)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool is_written = bio && PEM_write_bio_X509(bio, certificate) == 1;
    if (is_written)
        append_bio(text, bio);
    BIO_free(bio);
    return is_written ? 0 : x509_error(err, "write a certificate");
}

int x509_append_key(char **text, EVP_PKEY *key, struct err *err)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    bool is_written = bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
    if (is_written)
        append_bio(text, bio);
    BIO_free(bio);
    return is_written ? 0 : x509_error(err, "write a key");
}

/* Seconds since 1970 of what OpenSSL holds as a text; 0 for what makes no sense. */
static int64_t seconds_of(const ASN1_TIME *time)
{
    enum { DAY_S = 24 * 3600 };
    int days, seconds;
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    bool is_known = epoch && ASN1_TIME_diff(&days, &seconds, epoch, time) == 1;
    ASN1_STRING_free(epoch);
    return is_known ? (int64_t)days * DAY_S + seconds : 0;
}

int64_t x509_made_s(const X509 *certificate)
{
    return seconds_of(X509_get0_notBefore(certificate)) + CERTS_SKEW_S;
}

int64_t x509_end_s(const X509 *certificate)
{
    return seconds_of(X509_get0_notAfter(certificate));
}

/* The one organisational unit of its subject is the system's uid. */
bool x509_is_authority_of(X509 *certificate, const char *system_uid)
{
    char uid[64] = "";
    if (X509_check_ca(certificate) != 1)
        return false;
    int size = X509_NAME_get_text_by_NID(
        X509_get_subject_name(certificate), NID_organizationalUnitName, uid, sizeof(uid));
    return size > 0 && strcmp(uid, system_uid) == 0;
}

static int check_chain(
    X509_STORE *store, X509_STORE_CTX *context, X509 *leaf, enum role role, int64_t now_s, struct err *err)
{
    static const int node_purposes[] = {X509_PURPOSE_SSL_CLIENT, X509_PURPOSE_SSL_SERVER};
    int purpose_count = role == ROLE_NODE ? 2 : 1;
    for (int i = 0; i < purpose_count; i++) {
        if (X509_STORE_CTX_init(context, store, leaf, NULL) != 1 ||
            X509_STORE_CTX_set_purpose(context, node_purposes[i]) != 1)
            return x509_error(err, "verification");
        X509_STORE_CTX_set_time(context, 0, (time_t)now_s);
        int result = X509_verify_cert(context);
        int reason = X509_STORE_CTX_get_error(context);
        X509_STORE_CTX_cleanup(context);
        ERR_clear_error();
        if (result == 1)
            continue;
        bool is_time = reason == X509_V_ERR_CERT_HAS_EXPIRED || reason == X509_V_ERR_CERT_NOT_YET_VALID;
        return err_set(err, is_time ? ERR_EXPIRED : ERR_INVALID, "the certificate is refused: %s",
            X509_verify_cert_error_string(reason));
    }
    return 0;
}

int x509_verify(X509 *leaf, EVP_PKEY *key, const struct x509_list *authorities, enum role role,
    const char *system_uid, int64_t now_s, struct err *err)
{
    char name[ROLE_NAME_BYTES];
    int result = -1;
    if (*role_name(role, system_uid, name) == 0 ||
        X509_check_host(leaf, name, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) != 1)
        return err_set(err, ERR_DENIED, "the certificate is not of %s", name);
    if (X509_check_private_key(leaf, key) != 1)
        return x509_error(err, "the key is not the certificate's");
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    bool is_ready = store && context;
    for (int i = 0; i < authorities->count && is_ready; i++)
        is_ready = X509_STORE_add_cert(store, authorities->items[i]) == 1;
    if (is_ready)
        result = check_chain(store, context, leaf, role, now_s, err);
    else
        (void)x509_error(err, "verification");
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return result;
}
