#include "rpc/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

const char *rpc_address_unix_path(const char *address)
{
    return text_starts_with(address, "unix:") ? address + strlen("unix:") : NULL;
}

/* Splits "host:port" and "[v6]:port"; the caller frees *ret_host. */
static int split(
    const char *address, char **ret_host, const char **ret_port, bool *ret_is_bracketed, struct err *err)
{
    const char *colon = strrchr(address, ':');
    uint64_t port;
    if (!colon || colon == address)
        return err_set(err, ERR_INVALID, "address '%s' is not of the form unix:/path or host:port", address);
    if (text_to_u64(colon + 1, UINT16_MAX, &port, NULL) < 0)
        return err_set(err, ERR_INVALID, "address '%s' has no port from 0 to 65535", address);
    bool is_bracketed = address[0] == '[';
    if (is_bracketed && colon[-1] != ']')
        return err_set(err, ERR_INVALID, "address '%s' has no closing bracket", address);
    if (!is_bracketed && memchr(address, ':', (size_t)(colon - address)))
        return err_set(err, ERR_INVALID, "address '%s': an IPv6 host is written in brackets", address);
    if (is_bracketed)
        *ret_host = xstrndup(address + 1, (size_t)(colon - address) - 2);
    else
        *ret_host = xstrndup(address, (size_t)(colon - address));
    *ret_port = colon + 1;
    *ret_is_bracketed = is_bracketed;
    return 0;
}

static int check_path(const char *path, struct err *err)
{
    struct sockaddr_un name;
    if (path[0] != '/')
        return err_set(err, ERR_INVALID, "socket path '%s' is not absolute", path);
    if (strlen(path) >= sizeof(name.sun_path))
        return err_set(err, ERR_INVALID, "socket path '%s' is longer than the system's limit of %zu bytes",
            path, sizeof(name.sun_path) - 1);
    return 0;
}

int rpc_address_target(const char *address, char **ret_target, struct err *err)
{
    _cleanup_(cleanup_free) char *host = NULL;
    const char *port;
    bool is_bracketed;
    unsigned char binary[sizeof(struct in6_addr)];
    const char *path = rpc_address_unix_path(address);
    if (path && check_path(path, err) < 0)
        return -1;
    if (path) {
        *ret_target = xstrdup(address);
        return 0;
    }
    if (split(address, &host, &port, &is_bracketed, err) < 0)
        return -1;
    if (is_bracketed)
        *ret_target = xasprintf("ipv6:[%s]:%s", host, port);
    else if (inet_pton(AF_INET, host, binary) == 1)
        *ret_target = xasprintf("ipv4:%s:%s", host, port);
    else
        *ret_target = xasprintf("dns:///%s:%s", host, port);
    return 0;
}

static void fill_unix_name(struct sockaddr_un *name, const char *path)
{
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(name->sun_path, sizeof(name->sun_path), "%s", path);
}

/* gRPC removes whatever socket it finds at the path, also one that a server listens on. */
static int prepare_path(const char *path, struct err *err)
{
    struct stat info;
    struct sockaddr_un name;
    if (check_path(path, err) < 0)
        return -1;
    if (lstat(path, &info) < 0)
        return errno == ENOENT ? 0 : err_set_errno(err, errno, "cannot look at socket '%s'", path);
    if (!S_ISSOCK(info.st_mode))
        return err_set(err, ERR_CONFLICT, "'%s' exists and is not a socket", path);
    _cleanup_(cleanup_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set_errno(err, errno, "cannot make a socket");
    fill_unix_name(&name, path);
    if (connect(fd, (const struct sockaddr *)&name, sizeof(name)) == 0 || errno != ECONNREFUSED)
        return err_set(err, ERR_CONFLICT, "another process listens on '%s'", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_set_errno(err, errno, "cannot remove the stale socket '%s'", path);
    return 0;
}

int rpc_address_prepare(const char *address, struct err *err)
{
    _cleanup_(cleanup_free) char *host = NULL;
    const char *port;
    bool is_bracketed;
    const char *path = rpc_address_unix_path(address);
    if (path)
        return prepare_path(path, err);
    return split(address, &host, &port, &is_bracketed, err);
}

static int try_bind(const struct sockaddr *name, socklen_t size, struct err *err, const char *address)
{
    int on = 1;
    _cleanup_(cleanup_close) int fd = socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set_errno(err, errno, "cannot listen on '%s'", address);
    (void)setsockopt(
        fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* as gRPC does; only for the right reason */
    if (bind(fd, name, size) < 0 || listen(fd, 1) < 0)
        return err_set_errno(err, errno, "cannot listen on '%s'", address);
    return 0;
}

int rpc_address_explain(const char *address, struct err *err)
{
    _cleanup_(cleanup_free) char *host = NULL;
    const char *port;
    bool is_bracketed;
    struct sockaddr_un name;
    const char *path = rpc_address_unix_path(address);
    if (path) {
        fill_unix_name(&name, path);
        if (try_bind((const struct sockaddr *)&name, sizeof(name), err, address) < 0)
            return -1;
        (void)unlink(path); /* of the attempt */
        return err_set(err, ERR_SYSTEM, "cannot listen on '%s'", address);
    }
    if (split(address, &host, &port, &is_bracketed, err) < 0)
        return -1;
    struct addrinfo *found = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int failure = getaddrinfo(host, port, &hints, &found);
    if (failure != 0)
        return err_set(err, ERR_INVALID, "cannot listen on '%s': %s", address, gai_strerror(failure));
    int result = 0;
    for (struct addrinfo *item = found; item && result == 0; item = item->ai_next)
        result = try_bind(item->ai_addr, item->ai_addrlen, err, address);
    freeaddrinfo(found);
    return result < 0 ? -1 : err_set(err, ERR_SYSTEM, "cannot listen on '%s'", address);
}

char *rpc_address_with_port(const char *address, int port)
{
    const char *colon = strrchr(address, ':');
    return xasprintf("%.*s:%d", (int)(colon - address), address, port);
}
