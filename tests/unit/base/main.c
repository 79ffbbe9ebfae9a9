#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"

/* Code points where encodings, JSON or YAML do something special. */
static const char *const pieces[] = {"a", "Z", "0", "-", " ", "\"", "\\", "/", "\n", "\r", "\t", "\b", "\x1b",
    "\x7f", ":", "#", "'", "&", "*", "!", "%", "@", "`", "?", "|", ">", "{", "}", "[", "]", ",", "~", "=",
    "<", "null", "true", "yes", "1.5", "0x1", "- ", ": ", " #", "\xC2\x85", "\xC2\xA0", "\xC3\xA9",
    "\xE2\x80\xA8", "\xEF\xBB\xBF", "\xEF\xBF\xBE", "\xEF\xBF\xBF", "\xED\x9F\xBF", "\xEE\x80\x80",
    "\xF0\x9F\x98\x80", "\xF4\x8F\xBF\xBF"};

char *random_text(struct rng *rng, size_t size_max, size_t *ret_size)
{
    char *text = xcalloc(1, size_max + 1);
    size_t size = 0;
    while (rng_below(rng, 5) != 0) {
        const char *piece = pieces[rng_below(rng, sizeof(pieces) / sizeof(pieces[0]))];
        if (size + strlen(piece) > size_max)
            break;
        memcpy(text + size, piece, strlen(piece));
        size += strlen(piece);
    }
    *ret_size = size;
    return text;
}

static struct json *random_scalar(struct rng *rng)
{
    size_t size;
    switch (rng_below(rng, 7)) {
    case 0: return json_null_new();
    case 1: return json_bool_new(rng_one_in(rng, 2));
    case 2: return json_int_new((int64_t)rng_u64(rng));
    case 3: return json_uint_new(rng_u64(rng) >> rng_below(rng, 64));
    case 4: return json_double_new((rng_double(rng) - 0.5) * (double)(1ULL << rng_below(rng, 60)));
    default: break;
    }
    if (rng_one_in(rng, 10))
        return json_bytes_new("a\0b", 3);
    char *text = random_text(rng, 200, &size);
    struct json *node = json_bytes_new(text, size);
    free(text);
    return node;
}

static struct json *random_node(struct rng *rng, int depth)
{
    if (depth == 0 || rng_one_in(rng, 3))
        return random_scalar(rng);
    bool is_object = rng_one_in(rng, 2);
    struct json *node = is_object ? json_object_new() : json_array_new();
    for (uint64_t count = rng_below(rng, rng_one_in(rng, 10) ? 40 : 6); count > 0; count--) {
        struct json *item = random_node(rng, depth - 1);
        size_t size;
        char *key = random_text(rng, rng_one_in(rng, 50) ? 3000 : 60, &size);
        if (is_object)
            json_set_take(node, key, item);
        else
            json_add_take(node, item);
        free(key);
    }
    return node;
}

struct json *random_tree(struct rng *rng)
{
    return random_node(rng, 6);
}

int aborts(void (*function)(void))
{
    pid_t child = fork(); /* the test has one thread here */
    assert_true(child >= 0);
    if (child == 0) {
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        (void)signal(SIGABRT, SIG_DFL); /* cmocka and sanitizers have their own */
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(null, STDERR_FILENO);
        function();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

int main(void)
{
    int failed = 0;
    failed += _cmocka_run_group_tests("err", err_tests, err_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("text", text_tests, text_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("container", container_tests, container_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("time", time_tests, time_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("thread", thread_tests, thread_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("file", file_tests, file_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("log", log_tests, log_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("json", json_tests, json_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("yaml", yaml_tests, yaml_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("value", value_tests, value_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("metrics", metrics_tests, metrics_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("httpd", httpd_tests, httpd_test_count, NULL, NULL);
    failed +=
        _cmocka_run_group_tests("trace_context", trace_context_tests, trace_context_test_count, NULL, NULL);
    return failed > 0;
}
