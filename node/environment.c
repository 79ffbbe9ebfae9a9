#include "node/environment.h"

#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    CREDENTIAL_BYTES_MIN = 8,
    CREDENTIAL_BYTES_MAX = 256,
    NAME_BYTES_MAX = 253, /* a DNS name: what Kubernetes allows for the name of a node */
    WORKERS_MAX = 1024,
    MILLISECONDS_MAX = 24 * 3600 * 1000,
    DRAIN_DEFAULT_MS = 10 * 1000,
};

/* The getter, and where mistakes go. */
struct reader {
    environment_get get;
    void *ctx;
    struct str *problems;
    size_t mistakes;
};

static const char *get_from_process(const char *name, void *ctx)
{
    (void)ctx; /* the process has one environment */
    return getenv(name);
}

__attribute__((format(printf, 3, 4))) static void mistake(
    struct reader *reader, const char *name, const char *fmt, ...)
{
    va_list args;
    str_appendf(reader->problems, "%s: ", name);
    va_start(args, fmt);
    str_vappendf(reader->problems, fmt, args);
    va_end(args);
    str_append_char(reader->problems, '\n');
    reader->mistakes++;
}

static const char *optional(struct reader *reader, const char *name)
{
    const char *text = reader->get(name, reader->ctx);
    return text ? text : "";
}

static const char *required(struct reader *reader, const char *name)
{
    const char *text = optional(reader, name);
    if (!*text)
        mistake(reader, name, "is not set; whoever starts a node sets it");
    return text;
}

static char *read_text(struct reader *reader, const char *name, bool is_required)
{
    const char *text = is_required ? required(reader, name) : optional(reader, name);
    if (strlen(text) > NAME_BYTES_MAX || !text_is_utf8(text, strlen(text))) {
        mistake(reader, name, "must be UTF-8 of at most %d bytes", NAME_BYTES_MAX);
        text = "";
    }
    return xstrdup(text);
}

static char *read_system(struct reader *reader)
{
    const char *name = "HISTRIO_SYSTEM";
    const char *text = required(reader, name);
    if (*text && (!text_is_dns_label(text) || strlen(text) > LIMIT_SYSTEM_NAME_BYTES)) {
        mistake(reader, name, "must be a DNS label of at most %d characters", LIMIT_SYSTEM_NAME_BYTES);
        text = "";
    }
    return xstrdup(text);
}

static bool is_address(const char *text)
{
    if (text_starts_with(text, "unix:"))
        return text[strlen("unix:")] == '/';
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;
    return colon && colon > text && text_to_u64(colon + 1, UINT16_MAX, &port, NULL) == 0;
}

static char *read_address(struct reader *reader, const char *name, bool is_required)
{
    const char *text = is_required ? required(reader, name) : optional(reader, name);
    if (*text && (!is_address(text) || strlen(text) > LIMIT_ADDRESS_BYTES)) {
        mistake(reader, name, "must be \"unix:/path\" or \"host:port\"");
        text = "";
    }
    return xstrdup(text);
}

static char *read_path(struct reader *reader, const char *name)
{
    const char *text = optional(reader, name);
    if (*text && (*text != '/' || strlen(text) >= PATH_MAX)) {
        mistake(reader, name, "must be an absolute path");
        text = "";
    }
    return xstrdup(text);
}

/* Certificates name the system by its uid. */
static char *read_tls_folder(struct reader *reader, const char *system_uid)
{
    char *folder = read_path(reader, "HISTRIO_TLS_FOLDER");
    if (*folder && *system_uid && !text_is_dns_label(system_uid))
        mistake(reader, "HISTRIO_SYSTEM_UID", "must be a DNS label where HISTRIO_TLS_FOLDER is set");
    return folder;
}

static char *read_pod_ip(struct reader *reader)
{
    const char *name = "HISTRIO_POD_IP";
    const char *text = optional(reader, name);
    unsigned char binary[sizeof(struct in6_addr)];
    if (*text && inet_pton(AF_INET, text, binary) != 1 && inet_pton(AF_INET6, text, binary) != 1) {
        mistake(reader, name, "must be an IP address");
        text = "";
    }
    return xstrdup(text);
}

static void read_code_folders(struct reader *reader, struct environment *environment)
{
    const char *name = "HISTRIO_CODE_FOLDERS";
    const char *text = required(reader, name);
    while (*text) {
        size_t size = strcspn(text, ":");
        if (size > 0 && *text != '/')
            mistake(reader, name, "folder \"%.*s\" must be absolute", (int)size, text);
        else if (size > 0)
            vec_push(&environment->code_folders, xstrndup(text, size));
        text += size;
        text += *text == ':';
    }
}

static int hex_digit(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    return -1;
}

static void read_credential(struct reader *reader, struct environment *environment)
{
    const char *name = "HISTRIO_CREDENTIAL";
    const char *text = *environment->tls_folder ? optional(reader, name) : required(reader, name);
    size_t digits = strlen(text);
    if (digits == 0)
        return;
    /* The text itself is a secret: it appears in no message. */
    if (digits % 2 || digits / 2 < CREDENTIAL_BYTES_MIN || digits / 2 > CREDENTIAL_BYTES_MAX ||
        strspn(text, "0123456789abcdef") != digits) {
        mistake(reader, name, "must be %d to %d bytes as lower-case hex digits", CREDENTIAL_BYTES_MIN,
            CREDENTIAL_BYTES_MAX);
        return;
    }
    environment->credential_size = digits / 2;
    environment->credential = xmalloc(environment->credential_size);
    for (size_t i = 0; i < environment->credential_size; i++)
        environment->credential[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
}

static uint64_t read_number(
    struct reader *reader, const char *name, uint64_t minimum, uint64_t maximum, uint64_t absent)
{
    const char *text = optional(reader, name);
    uint64_t number = absent;
    if (*text && (text_to_u64(text, maximum, &number, NULL) < 0 || number < minimum)) {
        mistake(reader, name, "must be a whole number from %llu to %llu, not \"%.32s\"",
            (unsigned long long)minimum, (unsigned long long)maximum, text);
        return absent;
    }
    return number;
}

size_t environment_read(
    environment_get get, void *ctx, struct environment *ret_environment, struct str *problems)
{
    struct reader reader = {get ? get : get_from_process, ctx, problems, 0};
    struct environment read = {.report_fd = -1, .log_level = LOG_INFO};
    read.system = read_system(&reader);
    read.system_uid = read_text(&reader, "HISTRIO_SYSTEM_UID", true);
    read.node_name = read_text(&reader, "HISTRIO_NODE_NAME", true);
    read.pod_uid = read_text(&reader, "HISTRIO_POD_UID", true);
    read.kube_node = read_text(&reader, "HISTRIO_KUBE_NODE", false);
    read.zone = read_text(&reader, "HISTRIO_ZONE", false);
    read.tls_folder = read_tls_folder(&reader, read.system_uid);
    read.pod_ip = read_pod_ip(&reader);
    read.termination_log = read_path(&reader, "HISTRIO_TERMINATION_LOG");
    read_credential(&reader, &read);
    read.control_address = read_address(&reader, "HISTRIO_CONTROL_ADDRESS", true);
    read.link_address = read_address(&reader, "HISTRIO_LINK_ADDRESS", true);
    read.gateway_address = read_address(&reader, "HISTRIO_GATEWAY_ADDRESS", true);
    read.http_address = read_address(&reader, "HISTRIO_HTTP_ADDRESS", false);
    read_code_folders(&reader, &read);
    uint64_t report_fd = read_number(&reader, "HISTRIO_REPORT_FD", 0, 65535, UINT64_MAX);
    if (report_fd != UINT64_MAX)
        read.report_fd = (int)report_fd;
    read.workers = (unsigned)read_number(&reader, "HISTRIO_WORKERS", 1, WORKERS_MAX, 0);
    read.handler_timeout_ms =
        (uint32_t)read_number(&reader, "HISTRIO_HANDLER_TIMEOUT_MS", 1, MILLISECONDS_MAX, 0);
    read.drain_timeout_ms =
        (uint32_t)read_number(&reader, "HISTRIO_DRAIN_TIMEOUT_MS", 0, MILLISECONDS_MAX, DRAIN_DEFAULT_MS);
    const char *level = optional(&reader, "HISTRIO_LOG_LEVEL");
    struct err err = {0};
    if (*level && log_level_parse(level, &read.log_level, &err) < 0)
        mistake(&reader, "HISTRIO_LOG_LEVEL", "%s", err.text);
    *ret_environment = read;
    return reader.mistakes;
}

void environment_done(struct environment *environment)
{
    free(environment->system);
    free(environment->system_uid);
    free(environment->node_name);
    free(environment->pod_uid);
    free(environment->kube_node);
    free(environment->zone);
    free(environment->control_address);
    free(environment->link_address);
    free(environment->gateway_address);
    free(environment->http_address);
    free(environment->tls_folder);
    free(environment->pod_ip);
    free(environment->termination_log);
    vec_for_each (folder, &environment->code_folders)
        free(*folder);
    vec_done(&environment->code_folders);
    free(environment->credential);
    *environment = (struct environment){.report_fd = -1};
}
