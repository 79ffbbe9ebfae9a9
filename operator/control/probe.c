#include "operator_control/probe.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct place {
    struct sockaddr_storage name;
    socklen_t size;
};

static bool parse_unix(const char *path, struct place *place)
{
    struct sockaddr_un *name = (struct sockaddr_un *)(void *)&place->name;
    name->sun_family = AF_UNIX;
    place->size = sizeof(*name);
    return snprintf(name->sun_path, sizeof(name->sun_path), "%s", path) < (int)sizeof(name->sun_path);
}

/* "10.0.0.1:7070" or "[fd00::1]:7070"; false for names, which would have to be looked up. */
static bool parse_numbers(const char *address, struct place *place)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    const char *colon = strrchr(address, ':');
    size_t brackets = address[0] == '[' && colon && colon > address + 1 && colon[-1] == ']';
    if (!colon)
        return false;
    _cleanup_(cleanup_free) char *host =
        xstrndup(address + brackets, (size_t)(colon - address) - 2 * brackets);
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        return false;
    memcpy(&place->name, found->ai_addr, found->ai_addrlen);
    place->size = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

static enum probe_verdict verdict_of(int error)
{
    switch (error) {
    case 0: return PROBE_LISTENS;
    case EINPROGRESS: return PROBE_PENDING;
    case ECONNREFUSED:
    case ENOENT: return PROBE_REFUSED;
    default: return PROBE_NOBODY;
    }
}

static enum probe_verdict begin(struct probe *probe, const char *address)
{
    struct place place = {0};
    bool is_known = text_starts_with(address, "unix:") ? parse_unix(address + strlen("unix:"), &place)
                                                       : parse_numbers(address, &place);
    if (!is_known)
        return PROBE_LISTENS;
    int fd = socket(place.name.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return PROBE_NOBODY; /* no descriptor is left: later */
    probe->fd = fd;
    int failed = connect(fd, (const struct sockaddr *)&place.name, place.size);
    return verdict_of(failed ? errno : 0);
}

static enum probe_verdict look(const struct probe *probe)
{
    struct pollfd poll_fd = {.fd = probe->fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof(error);
    if (poll(&poll_fd, 1, 0) <= 0)
        return PROBE_PENDING;
    (void)getsockopt(probe->fd, SOL_SOCKET, SO_ERROR, &error, &size); /* cannot fail for a socket */
    return verdict_of(error);
}

enum probe_verdict probe_look(struct probe *probe, const char *address)
{
    enum probe_verdict verdict = probe->fd ? look(probe) : begin(probe, address);
    if (verdict == PROBE_PENDING)
        verdict = look(probe); /* on this machine it is over by now */
    if (verdict != PROBE_PENDING)
        probe_end(probe);
    return verdict;
}

void probe_end(struct probe *probe)
{
    if (probe->fd)
        (void)close(probe->fd); /* nothing was written */
    probe->fd = 0;
}
