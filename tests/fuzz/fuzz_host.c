/* A process that sends anything to the host: as a script's connection, which may do all that a worker process
 * may. The runtime is stepped by this thread, so that each input is a whole life: connection, frames, end.
 * The first byte says what follows: raw bytes, or records that become frames with a right length. */
#include "target.h"

#include "actor/system_private.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "base/value.h"
#include "host/frame.h"
#include "host/host.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NODE_UID = 77, STEPS_MAX = 400, RECORD_BYTES = 8, ANSWER_BYTES = 1 << 16 };

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static enum histrio_result echo(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)state;
    if (message->kind == HISTRIO_ASK)
        histrio_reply(ctx, message->value, message->size);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior echo_behavior = {.name = "echo", .receive = echo};
static const struct histrio_behavior *const behaviors[] = {&echo_behavior, NULL};
static const struct histrio_library library = {HISTRIO_ABI_VERSION, "fuzz", behaviors};

static struct {
    struct host *host;
    struct actor_system *system;
    int fd; /* the process's end */
    bool is_over;
} life;

static void ended(void *ctx)
{
    (void)ctx;
    life.is_over = true;
}

static void step(unsigned times)
{
    static uint8_t answers[ANSWER_BYTES];
    struct worker *worker = &life.system->workers[0];
    for (unsigned i = 0; i < times; i++) {
        if (!worker_step(worker))
            host_hosting(life.host)->wait(host_hosting(life.host)->ctx, worker, 1);
        while (life.fd >= 0 && recv(life.fd, answers, sizeof(answers), MSG_DONTWAIT) > 0)
            continue; /* until there is no more */
    }
}

static void send_frame(struct frame frame, const void *payload, size_t size)
{
    uint8_t whole[FRAME_HEADER_BYTES + 512];
    demand(size <= 512);
    frame.size = (uint32_t)(FRAME_HEADER_BYTES + size);
    memcpy(whole, &frame, FRAME_HEADER_BYTES);
    if (size > 0)
        memcpy(whole + FRAME_HEADER_BYTES, payload, size);
    (void)!send(life.fd, whole, frame.size, MSG_NOSIGNAL | MSG_DONTWAIT); /* refused when it was thrown out */
}

/* Large data: a file of one page, sealed or not, with a value that may say so. */
static void send_frame_with_file(struct frame frame, uint8_t said_pages, bool is_sealed)
{
    enum { PAGE = 4096 };
    uint8_t whole[FRAME_HEADER_BYTES + 6 + sizeof(uint64_t)] = {0};
    const uint8_t ext[] = {0xc9, 0, 0, 0, sizeof(uint64_t), 82};
    const uint64_t said = (uint64_t)said_pages * PAGE;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {
        .header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    int fd = memfd_create("fuzz", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    demand(fd >= 0 && ftruncate(fd, PAGE) == 0);
    demand(!is_sealed || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
    frame.size = sizeof(whole);
    memcpy(whole, &frame, sizeof(frame));
    memcpy(whole + sizeof(frame), ext, sizeof(ext));
    memcpy(whole + sizeof(frame) + sizeof(ext), &said, sizeof(said));
    memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
    struct iovec part = {whole, sizeof(whole)};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    (void)!sendmsg(life.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT); /* as above */
    (void)close(fd);                                                /* sent, or not wanted */
}

static void hello(void)
{
    struct str text = STR_INIT(256);
    static const char *const names[] = {"local", "echo", "get"};
    value_put_map(&text, 2);
    value_put_string(&text, "protocol");
    value_put_uint(&text, FRAME_PROTOCOL);
    value_put_string(&text, "role");
    value_put_string(&text, "script");
    send_frame((struct frame){.kind = FRAME_HELLO}, text.data, text.size);
    str_done(&text);
    step(4); /* its actor is there */
    for (uint32_t i = 0; i < 3; i++)
        send_frame((struct frame){.kind = FRAME_INTERN, .method = i + 1}, names[i], strlen(names[i]));
}

static void start_unit(const char *name, const char *behavior)
{
    struct err err;
    struct actor_unit_spec unit = {.name = name,
        .root = {.name = name, .behavior = behavior, .restart = ACTOR_TEMPORARY, .period_ms = 1}};
    demand(actor_system_unit_start(life.system, &unit, 1, &err) == 0);
}

static void begin(void)
{
    int ends[2];
    struct err err;
    demand(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    life.fd = ends[1];
    life.is_over = false;
    struct host_config config = {
        .system = "fuzz", .node = "fuzz", .node_uid = NODE_UID, .script_fd = ends[0], .script_ended = ended};
    demand(host_new(&config, &life.host, &err) == 0);
    host_configure(life.host, &(struct host_app){.interpreter = "/nowhere/python3", .workers = 1});
    struct actor_system_config actors = {
        .node_uid = NODE_UID, .system = "fuzz", .worker_count = 1, .hosting = host_hosting(life.host)};
    life.system = system_new(&actors);
    demand(actor_system_add_library(life.system, &library, &err) == 0);
    start_unit("echo", "fuzz.echo");
    start_unit("local", HOST_SCRIPT_BEHAVIOR);
    step(4);
}

static void end(void)
{
    struct err err;
    (void)close(life.fd);
    life.fd = -1;
    for (unsigned i = 0; i < STEPS_MAX && !life.is_over; i++)
        step(1);
    demand(life.is_over);
    (void)actor_system_unit_stop(life.system, "echo", &err); /* or the input has ended it */
    for (unsigned i = 0; i < STEPS_MAX && map_count(&life.system->units.by_name) > 0; i++)
        step(1);
    demand(map_count(&life.system->units.by_name) == 0);
    host_hosting(life.host)->stop(host_hosting(life.host)->ctx, &life.system->workers[0]);
    system_done(life.system);
    host_free(life.host);
}

/* Small numbers mean something: texts that were told, deliveries that may be open, a reference. */
static void send_records(const uint8_t *data, size_t size)
{
    while (size >= RECORD_BYTES) {
        size_t payload = data[7] < size - RECORD_BYTES ? data[7] : size - RECORD_BYTES;
        struct frame frame = {.kind = data[0],
            .code = data[1],
            .actor = data[2] & 3,
            .method = data[3] & 7,
            .name = data[4] & 7,
            .number = (data[5] & 0x80) != 0 ? (uint64_t)((data[5] & 0x7f) + 1) << 20 : data[5],
            .timeout_ms = data[6],
            .ref_node = NODE_UID,
            .ref_id = UINT64_C(1) << 32 | (data[4] >> 3)};
        frame.flags = data[2] >> 6; /* of them 1 is known */
        if ((data[2] & 0x20) != 0)
            send_frame_with_file(frame, data[3] >> 3, (data[2] & 0x10) != 0);
        else
            send_frame(frame, data + RECORD_BYTES, payload);
        data += RECORD_BYTES + payload;
        size -= RECORD_BYTES + payload;
        step(1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_quiet;
    if (!is_quiet)
        log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_ERROR);
    is_quiet = true;
    if (size == 0)
        return 0;
    begin();
    hello();
    if ((data[0] & 1) != 0)
        (void)!send(life.fd, data + 1, size - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    else
        send_records(data + 1, size - 1);
    step(16);
    end();
    return 0;
}
