/* A zygote and its worker processes in C, which do what messages tell them: "-m histrio._zygote" of a host
 * whose interpreter this program is. Methods are deeds; see do_deed(). */
#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/value.h"
#include "base/vec.h"
#include "host/frame.h"
#include "host/page.h"
#include "host/program.h"
#include "shared.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ACTORS_MAX = 64, TEXTS_MAX = 256, FDS = 4, IN_BYTES = LIMIT_HOST_FRAME_BYTES, ZYGOTE_FD = 3 };

static void demand(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "puppet: %s: %s\n", what, strerror(errno));
    _exit(9);
}

/* ---- a worker process ---- */

static struct {
    int socket;
    int trace_fd;
    volatile uint64_t *page;
    char *texts[TEXTS_MAX];
    uint32_t next_text;
    uint32_t own_texts;
    struct {
        uint64_t held; /* a delivery that is begun and not ended */
        bool is_alive;
        char kept[64]; /* of an earlier incarnation: a msgpack value */
        size_t kept_size;
    } actors[ACTORS_MAX];
    uint64_t worker;  /* its number */
    uint64_t relayed; /* an ask that waits for the answer to an ask of ours */
    uint32_t relayed_actor;
    uint8_t in[IN_BYTES];
} puppet;

static void send_frame(struct frame frame, const void *payload, size_t size)
{
    frame.size = (uint32_t)(sizeof(frame) + size);
    uint8_t *whole = malloc(frame.size);
    memcpy(whole, &frame, sizeof(frame));
    if (size > 0)
        memcpy(whole + sizeof(frame), payload, size);
    for (size_t sent = 0; sent < frame.size;) {
        ssize_t some = send(puppet.socket, whole + sent, frame.size - sent, MSG_NOSIGNAL);
        if (some <= 0)
            _exit(0); /* the node is gone */
        sent += (size_t)some;
    }
    free(whole);
}

static void send_text(struct frame frame, const char *text)
{
    send_frame(frame, text, strlen(text));
}

static uint32_t own_text(const char *text)
{
    send_text((struct frame){.kind = FRAME_INTERN, .method = ++puppet.own_texts}, text);
    return puppet.own_texts;
}

static void begin(uint64_t delivery, unsigned entry)
{
    if (entry == 0)
        puppet.page[0] = (uint64_t)clock_now_ns(clock_system());
    puppet.page[2 + entry] = delivery;
}

static void end(unsigned entry)
{
    puppet.page[0] = entry == 0 ? 0 : puppet.page[0];
    puppet.page[2 + entry] = 0;
}

static void die_by_segfault(void)
{
    static const char trace[] = "Fatal Python error: Segmentation fault\n\n"
                                "Current thread 0x00007f (most recent call first):\n"
                                "  File \"/usr/lib/python3.11/ctypes/__init__.py\", line 519 in string_at\n"
                                "  File \"/app/bank.py\", line 41 in add\n";
    struct rlimit none = {0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)!write(puppet.trace_fd, trace, sizeof(trace) - 1);
    (void)signal(SIGSEGV, SIG_DFL); /* a sanitizer has its own */
    (void)raise(SIGSEGV);
}

/* What a value says, as a text. */
static const char *argument(const uint8_t *payload, size_t size)
{
    static char text[256];
    const char *bytes;
    size_t length = 0;
    if (!value_get_string(value_of(payload, size), &bytes, &length) || length >= sizeof(text))
        length = 0;
    memcpy(text, length ? bytes : "", length);
    text[length] = 0;
    return text;
}

/* Of another actor's name: asked or told by the actor. */
static void send_on(const struct frame *from, enum frame_kind kind, const char *target, const char *method)
{
    send_frame((struct frame){.kind = (uint8_t)kind,
                   .actor = from->actor,
                   .name = own_text(target),
                   .method = own_text(method),
                   .number = 77,
                   .timeout_ms = 5000},
        "\xc0", 1);
}

static void do_hostile(const struct frame *from, const char *what)
{
    struct frame frame = {.kind = FRAME_ASK,
        .actor = from->actor,
        .name = own_text("unit/two"),
        .method = own_text("echo"),
        .number = 79};
    if (shared_hostile(puppet.socket, frame, what))
        return;
    uint8_t nonsense[64];
    uint32_t size = 10;
    memset(nonsense, 0xee, sizeof(nonsense));
    if (strcmp(what, "garbage") == 0)
        (void)!write(puppet.socket, nonsense, sizeof(nonsense));
    else if (strcmp(what, "short") == 0)
        (void)!write(puppet.socket, &size, sizeof(size));
    else if (strcmp(what, "foreign") == 0)
        send_frame((struct frame){.kind = FRAME_TELL, .actor = 4000, .ref_node = 1}, NULL, 0);
    else if (strcmp(what, "text") == 0)
        send_frame((struct frame){.kind = FRAME_TELL, .actor = 1, .name = 999}, NULL, 0);
    else if (strcmp(what, "hello") == 0)
        send_frame((struct frame){.kind = FRAME_HELLO}, NULL, 0);
    else if (strcmp(what, "node") == 0)
        send_frame((struct frame){.kind = FRAME_START, .actor = 1}, NULL, 0);
}

/* Memory, until somebody says stop. */
static void eat(void)
{
    enum { PIECE = 4 << 20, PIECES = 256 };
    for (unsigned i = 0; i < PIECES; i++) {
        void *piece = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (piece != MAP_FAILED)
            memset(piece, 1, PIECE);
    }
    for (;;)
        (void)pause();
}

static void spawn_child(const struct frame *from, const char *behavior)
{
    struct str text = STR_INIT(4096);
    value_put_map(&text, 3);
    value_put_string(&text, "name");
    value_put_string(&text, "child");
    value_put_string(&text, "monitor");
    value_put_uint(&text, 5);
    value_put_string(&text, "root");
    value_put_map(&text, 1);
    value_put_string(&text, "behavior");
    value_put_map(&text, 1);
    value_put_string(&text, "python");
    value_put_string(&text, behavior);
    send_frame((struct frame){.kind = FRAME_SPAWN, .actor = from->actor, .number = 78}, text.data, text.size);
    str_done(&text);
}

/* Large data: sent on, or looked at. The answer says what was in it. */
static bool do_shared(const struct frame *from, const char *deed, const char *what, const uint8_t *payload)
{
    struct frame frame = {.kind = from->kind == FRAME_ASK ? FRAME_REPLY : FRAME_DONE,
        .actor = from->actor,
        .number = from->number};
    struct str text = STR_INIT(256);
    if (strcmp(deed, "look") == 0) {
        value_put_string(&text, shared_text(from, payload));
        send_frame(frame, text.data, from->kind == FRAME_ASK ? text.size : 0);
        str_done(&text);
    } else if (strcmp(deed, "give") == 0) {
        shared_send(puppet.socket, frame, "given");
    } else if (strcmp(deed, "share") == 0 || strcmp(deed, "fetch") == 0) {
        puppet.relayed = from->number;
        puppet.relayed_actor = from->actor;
        if (deed[0] == 'f') {
            send_on(from, FRAME_ASK, what, "give");
            return true;
        }
        frame = (struct frame){.kind = FRAME_ASK,
            .actor = from->actor,
            .name = own_text(what),
            .method = own_text("look"),
            .number = 77};
        shared_send(puppet.socket, frame, "shared");
    } else {
        return false;
    }
    return true;
}

/* State for the next incarnation, and of the one before. */
static bool do_state(const struct frame *from, const char *deed, const uint8_t *payload, size_t size)
{
    struct frame answer = {.kind = FRAME_REPLY, .actor = from->actor, .number = from->number};
    if (strcmp(deed, "kept") == 0) {
        send_frame(answer, puppet.actors[from->actor].kept, puppet.actors[from->actor].kept_size);
    } else if (strcmp(deed, "keep") == 0) {
        send_frame((struct frame){.kind = FRAME_SNAPSHOT, .actor = from->actor}, payload, size);
        send_frame(answer, payload, size);
    } else {
        return false;
    }
    return true;
}

/* Deeds that end their delivery later, or never. True: it was one. */
static bool do_lasting(const struct frame *frame, const char *deed, const char *what)
{
    if (strcmp(deed, "hold") == 0) {
        puppet.actors[frame->actor].held = frame->number;
        begin(frame->number, frame->actor);
    } else if (strcmp(deed, "ignore") == 0) {
        /* neither begun nor ended */
    } else if (strcmp(deed, "relay") == 0 || strcmp(deed, "spawn") == 0) {
        puppet.relayed = frame->number;
        puppet.relayed_actor = frame->actor;
        if (deed[0] == 'r')
            send_on(frame, FRAME_ASK, what, "echo");
        else
            spawn_child(frame, what);
    } else if (strcmp(deed, "loop") == 0) { /* what an event loop does that never comes round */
        puppet.page[1] = 1;
        puppet.page[2 + frame->actor] = frame->number;
    } else if (strcmp(deed, "stuck") == 0) {
        begin(frame->number, 0);
        for (;;)
            (void)pause();
    } else if (strcmp(deed, "fail") == 0 || strcmp(deed, "stop") == 0) {
        puppet.actors[frame->actor].is_alive = false;
        send_text((struct frame){.kind = FRAME_FAILED,
                      .code = deed[0] == 's' ? FRAME_FAILED_NORMAL : 0,
                      .actor = frame->actor,
                      .number = frame->number},
            what);
    } else {
        return false;
    }
    return true;
}

static void do_deed(const struct frame *frame, const uint8_t *payload, size_t size)
{
    const char *deed = puppet.texts[frame->method], *what = argument(payload, size);
    if (do_lasting(frame, deed, what) || do_shared(frame, deed, what, payload) ||
        do_state(frame, deed, payload, size))
        return;
    begin(frame->number, 0);
    if (strcmp(deed, "crash") == 0)
        die_by_segfault();
    else if (strcmp(deed, "exit") == 0)
        _exit(3);
    else if (strcmp(deed, "print") == 0)
        (void)!write(STDOUT_FILENO, "printed\n", strlen("printed\n"));
    else if (strcmp(deed, "orphan") == 0)
        (void)kill(getppid(), SIGKILL);
    else if (strcmp(deed, "eat") == 0)
        eat();
    else if (strcmp(deed, "hostile") == 0)
        do_hostile(frame, what);
    else if (strcmp(deed, "tell") == 0)
        send_on(frame, FRAME_TELL, what, "echo");
    else if (strcmp(deed, "kill") == 0)
        send_text((struct frame){.kind = FRAME_EXIT, .actor = frame->actor, .name = own_text(what)}, "kill");
    else if (strcmp(deed, "trap") == 0)
        send_frame((struct frame){.kind = FRAME_TRAP, .code = 1, .actor = frame->actor}, NULL, 0);
    else if (strcmp(deed, "timer") == 0)
        send_frame((struct frame){.kind = FRAME_TIMER_START,
                       .actor = frame->actor,
                       .number = 9,
                       .timeout_ms = 1,
                       .method = own_text("echo")},
            NULL, 0);
    else if (strcmp(deed, "lost") == 0) { /* handled; its answer is gathered for a write that never comes */
        puppet.page[2 + 1] = frame->number | PAGE_OVER;
        puppet.page[0] = puppet.page[2] = 0;
        _exit(3);
    }
    struct frame answer = {.kind = frame->kind == FRAME_ASK ? FRAME_REPLY : FRAME_DONE,
        .actor = frame->actor,
        .number = frame->number};
    bool is_ask = frame->kind == FRAME_ASK;
    if (strcmp(deed, "error") == 0 && is_ask) {
        answer.kind = FRAME_ERROR;
        answer.code = 9;
        send_text(answer, what);
    } else if (strcmp(deed, "unhandled") == 0) {
        answer.kind = FRAME_DONE;
        answer.code = FRAME_DONE_UNHANDLED;
        send_frame(answer, NULL, 0);
    } else if (strcmp(deed, "worker") == 0) {
        char number[] = {(char)0xa1, (char)('0' + puppet.worker % 10)}; /* a text of one character */
        send_frame(answer, number, sizeof(number));
    } else {
        send_frame(answer, payload, is_ask ? size : 0);
    }
    end(0);
}

static void start_actor(const struct frame *frame, const uint8_t *payload, size_t size)
{
    static char text[256];
    const char *behavior;
    size_t length = 0;
    struct frame answer = {.kind = FRAME_DONE, .actor = frame->actor, .number = frame->number};
    (void)value_get_string(value_find(value_of(payload, size), "behavior"), &behavior, &length);
    (void)snprintf(text, sizeof(text), "%.*s", (int)length, behavior);
    demand(frame->actor < ACTORS_MAX, "too many actors");
    begin(frame->number, 0);
    if (strcmp(text, "m:Dies") == 0)
        die_by_segfault();
    if (strcmp(text, "m:Slow") == 0)
        return; /* never done */
    puppet.actors[frame->actor].is_alive = strcmp(text, "m:Fails") != 0;
    if (!puppet.actors[frame->actor].is_alive) {
        answer.kind = FRAME_FAILED;
        send_text(answer, "ImportError: no module (bank.py:3)");
    } else {
        send_frame(answer, NULL, 0);
    }
    end(0);
}

/* A DOWN, EXIT or TIMER becomes a line that the test reads: told to the actor "listener". */
static void pass_on(const struct frame *frame, const uint8_t *payload, size_t size)
{
    struct str text = STR_INIT(512);
    value_put_string_bytes(&text, (const char *)payload, size);
    send_frame((struct frame){.kind = FRAME_TELL,
                   .actor = frame->actor,
                   .name = own_text("listener"),
                   .method = own_text(frame_kind_name(frame->kind))},
        text.data, text.size);
    str_done(&text);
    send_frame((struct frame){.kind = FRAME_DONE, .actor = frame->actor, .number = frame->number}, NULL, 0);
}

/* PUPPET_DIES: the worker with that number ends before it has an actor. */
static void welcomed(const uint8_t *payload, size_t size)
{
    const char *dies = getenv("PUPPET_DIES");
    (void)value_get_uint(value_find(value_of(payload, size), "worker"), &puppet.worker);
    if (dies && strtoull(dies, NULL, 10) == puppet.worker)
        _exit(3);
}

static void handle(const struct frame *frame, const uint8_t *payload)
{
    size_t size = frame_payload_bytes(frame);
    switch (frame->kind) {
    case FRAME_INTERN:
        demand(frame->method < TEXTS_MAX, "too many texts");
        free(puppet.texts[frame->method]);
        puppet.texts[frame->method] = strndup((const char *)payload, size);
        break;
    case FRAME_WELCOME: welcomed(payload, size); break;
    case FRAME_START: start_actor(frame, payload, size); break;
    case FRAME_STOP:
        if (puppet.actors[frame->actor].held == 0) /* else it never stops */
            send_frame(
                (struct frame){.kind = FRAME_DONE, .actor = frame->actor, .number = frame->number}, NULL, 0);
        break;
    case FRAME_SNAPSHOT:
        demand(size <= sizeof(puppet.actors[0].kept), "more was kept than may be");
        memcpy(puppet.actors[frame->actor].kept, payload, size);
        puppet.actors[frame->actor].kept_size = size;
        break;
    case FRAME_DROP: puppet.actors[frame->actor].is_alive = false; break;
    case FRAME_TELL:
    case FRAME_ASK:
        if (puppet.actors[frame->actor].is_alive)
            do_deed(frame, payload, size);
        break;
    case FRAME_REPLY:
    case FRAME_ERROR:
        if ((frame->flags & FRAME_HAS_BUFFERS) != 0) {
            struct str text = STR_INIT(256);
            value_put_string(&text, shared_text(frame, payload));
            send_frame(
                (struct frame){.kind = FRAME_REPLY, .actor = puppet.relayed_actor, .number = puppet.relayed},
                text.data, text.size);
            str_done(&text);
            break;
        }
        send_frame((struct frame){.kind = frame->kind,
                       .code = frame->code,
                       .actor = puppet.relayed_actor,
                       .number = puppet.relayed},
            payload, size);
        break;
    case FRAME_DOWN:
    case FRAME_EXIT:
    case FRAME_TIMER: pass_on(frame, payload, size); break;
    default: break;
    }
}

static void hello(void)
{
    struct str text = STR_INIT(512);
    value_put_map(&text, 3);
    value_put_string(&text, "protocol");
    value_put_uint(&text, FRAME_PROTOCOL);
    value_put_string(&text, "role");
    value_put_string(&text, "worker");
    value_put_string(&text, "pid");
    value_put_uint(&text, (uint64_t)getpid());
    send_frame((struct frame){.kind = FRAME_HELLO}, text.data, text.size);
    str_done(&text);
}

static void work(const int fds[FDS])
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGUSR1, SIG_IGN);
    puppet.socket = fds[0];
    puppet.page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0);
    demand(puppet.page != MAP_FAILED, "page");
    puppet.trace_fd = fds[2];
    demand(dup2(fds[3], STDOUT_FILENO) >= 0, "stdout");
    hello();
    for (size_t used = 0;;) {
        ssize_t got = shared_receive(puppet.socket, puppet.in + used, sizeof(puppet.in) - used);
        if (got <= 0)
            _exit(0);
        used += (size_t)got;
        struct frame frame;
        size_t done = 0;
        while (frame_parse(puppet.in + done, used - done, &frame, NULL) == 1) {
            handle(&frame, puppet.in + done + sizeof(frame));
            done += frame.size;
        }
        memmove(puppet.in, puppet.in + done, used - done);
        used -= done;
    }
}

/* ---- the zygote ---- */

static void say(const char *kind, int64_t worker, pid_t pid, int status)
{
    struct str text = STR_INIT(512);
    value_put_map(&text, 4);
    value_put_string(&text, "kind");
    value_put_string(&text, kind);
    value_put_string(&text, "worker");
    value_put_int(&text, worker);
    value_put_string(&text, "pid");
    value_put_int(&text, pid);
    value_put_string(&text, "status");
    value_put_int(&text, status);
    demand(send(ZYGOTE_FD, text.data, text.size, MSG_NOSIGNAL) > 0, "send");
    str_done(&text);
}

static int64_t workers_by_pid[1 << 16]; /* pids of a test's machine, modulo */

/* PUPPET_WAITS: for so many milliseconds before the zygote says that a worker was forked, or has ended. */
static void wait_as_told(void)
{
    const char *waits = getenv("PUPPET_WAITS");
    int64_t until_ns = clock_now_ns(clock_system()) + (waits ? strtoll(waits, NULL, 10) * NS_PER_MS : 0);
    while (clock_now_ns(clock_system()) < until_ns)
        (void)poll(NULL, 0, 1);
}

static void reap(void)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        wait_as_told();
        say("died", workers_by_pid[pid & 0xffff], pid, status);
    }
}

static void do_nothing(int signal_number)
{
    (void)signal_number;
}

static void fork_worker(struct value message, const int fds[FDS])
{
    int64_t number = 0;
    demand(value_get_int(value_find(message, "worker"), &number), "a number");
    pid_t pid = fork();
    demand(pid >= 0, "fork");
    if (pid == 0) {
        (void)close(ZYGOTE_FD);
        (void)signal(SIGCHLD, SIG_DFL);
        work(fds);
    }
    workers_by_pid[pid & 0xffff] = number;
    for (size_t i = 0; i < FDS; i++)
        (void)close(fds[i]);
    wait_as_told();
    say("forked", number, pid, 0);
}

/* The program for behaviors in C is a worker from the beginning. */
static bool is_program(void)
{
    int type = 0;
    socklen_t size = sizeof(type);
    return getsockopt(PROGRAM_SOCKET_FD, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

int main(void)
{
    if (is_program())
        work((const int[FDS]){PROGRAM_SOCKET_FD, PROGRAM_PAGE_FD, PROGRAM_TRACE_FD, STDOUT_FILENO});
    struct sigaction action = {.sa_handler = do_nothing};
    sigset_t blocked, unblocked;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)sigaction(SIGCHLD, &action, NULL);
    /* It comes while there is nothing to do only: none is missed between a look and a wait. */
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &blocked, &unblocked);
    (void)sigdelset(&unblocked, SIGCHLD);
    const char *fails = getenv("PUPPET_FAILS");
    if (fails) {
        (void)fprintf(stderr, "%s\n", fails);
        return 1;
    }
    for (;;) {
        static char data[1 << 16];
        union {
            struct cmsghdr header;
            char space[CMSG_SPACE(sizeof(int) * FDS)];
        } control = {0};
        struct iovec part = {data, sizeof(data)};
        struct msghdr message = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
        struct pollfd polled = {.fd = ZYGOTE_FD, .events = POLLIN};
        if (ppoll(&polled, 1, NULL, &unblocked) < 0) {
            reap();
            continue;
        }
        ssize_t got = recvmsg(ZYGOTE_FD, &message, 0);
        if (got <= 0)
            return 0;
        struct value said = value_of(data, (size_t)got);
        if (value_is_string(value_find(said, "kind"), "setup")) {
            say("ready", 0, 0, 0);
        } else {
            int fds[FDS];
            const struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
            demand(rights != NULL, "descriptors");
            if (!rights)
                return 9;
            memcpy(fds, CMSG_DATA(rights), sizeof(fds));
            fork_worker(said, fds);
        }
        reap();
    }
}
