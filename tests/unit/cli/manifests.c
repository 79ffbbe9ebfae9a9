/* Manifest files with their libraries, looked into by a shell script in the place of histrio-node. */
#include "suites.h"

#include "base/err.h"
#include "capi/library_probe.h"
#include "cli/manifest_file.h"
#include "support/temp_folder.h"
#include "types/system.h"

#include <time.h>
#include <unistd.h>

static const char manifest[] = "apiVersion: histrio.dev/v1alpha1\n"
                               "kind: ActorSystem\n"
                               "metadata: {name: bank}\n"
                               "spec:\n"
                               "  nodes: {replicas: 2, image: some/image}\n"
                               "  code:\n"
                               "    c: [{library: bank, path: libbank.so}]\n"
                               "  actors:\n"
                               "    - name: ledger\n"
                               "      behavior: {c: bank.ledger}\n";

struct fixture {
    char *folder;
    char *program;
    char *path;
    struct system_spec *spec;
    char *code_folders;
    struct str problems;
    struct err err;
};

static void begin(struct fixture *fixture, const char *text, const char *script)
{
    *fixture = (struct fixture){.folder = temp_folder_new()};
    str_init(&fixture->problems, 100000);
    temp_folder_write(fixture->folder, "bank.yaml", text, 0600);
    if (script)
        temp_folder_write(fixture->folder, "node", script, 0700);
    fixture->program = script ? file_join(fixture->folder, "node") : NULL;
    fixture->path = file_join(fixture->folder, "bank.yaml");
}

static int load_with(struct fixture *fixture, uint32_t nodes, const char *const *config_maps, size_t count)
{
    struct manifest_file_options options = {fixture->program, nodes, {config_maps, count}};
    return manifest_file_load(
        fixture->path, &options, &fixture->spec, &fixture->code_folders, &fixture->problems, &fixture->err);
}

static int load(struct fixture *fixture, uint32_t nodes)
{
    return load_with(fixture, nodes, NULL, 0);
}

static void end(struct fixture *fixture)
{
    system_spec_unref(fixture->spec);
    str_done(&fixture->problems);
    temp_folder_remove(fixture->folder);
    free(fixture->code_folders);
    free(fixture->program);
    free(fixture->path);
}

static void assert_problem(struct fixture *fixture, const char *text)
{
    assert_int_equal(load(fixture, 0), -1);
    if (!strstr(str_text(&fixture->problems), text))
        fail_msg("\"%s\" is not in \"%s\"", text, str_text(&fixture->problems));
    end(fixture);
}

static const char good_node[] = "#!/bin/sh\n"
                                "[ \"$1\" = --check-library ] || exit 9\n"
                                "echo behavior $2.ledger\n"
                                "echo behavior $2.counter\n";

static void test_good(void **state)
{
    struct fixture fixture;
    struct str ignored = STR_INIT(1000);
    (void)state;
    begin(&fixture, manifest, good_node);
    temp_folder_write(fixture.folder, "libbank.so", "", 0600);
    if (load(&fixture, 5) < 0)
        fail_msg("%s", str_text(&fixture.problems));
    assert_int_equal(fixture.spec->nodes.replicas, 5);
    char *expected = file_join(fixture.folder, "libbank.so");
    assert_string_equal(fixture.spec->code.c.items[0].path, expected);
    assert_string_equal(fixture.code_folders, fixture.folder);
    manifest_file_ignored(fixture.spec, &ignored);
    assert_string_equal(str_text(&ignored), "nodes.image");
    free(expected);
    str_done(&ignored);
    end(&fixture);
}

static void test_library_path(void **state)
{
    struct fixture fixture;
    char *elsewhere = temp_folder_new();
    (void)state;
    begin(&fixture, manifest, good_node);
    temp_folder_write(elsewhere, "libbank.so", "", 0600);
    assert_int_equal(setenv("HISTRIO_LIBRARY_PATH", elsewhere, 1), 0);
    assert_int_equal(load(&fixture, 0), 0);
    assert_string_equal(fixture.code_folders, elsewhere);
    assert_int_equal(unsetenv("HISTRIO_LIBRARY_PATH"), 0);
    end(&fixture);
    temp_folder_remove(elsewhere);
}

static void test_missing_library(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture, manifest, good_node);
    assert_problem(&fixture, "bank.yaml:7: spec.code.c[0]");
}

static void test_missing_behavior(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture, manifest, "#!/bin/sh\necho behavior bank.counter\n");
    temp_folder_write(fixture.folder, "libbank.so", "", 0600);
    assert_problem(&fixture, "library \"bank\" has no behavior \"ledger\": it has bank.counter");
}

static void test_crashing_library(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture, manifest, "#!/bin/sh\nkill -SEGV $$\n");
    temp_folder_write(fixture.folder, "libbank.so", "", 0600);
    assert_problem(&fixture, "library \"bank\" crashes while it is loaded (Segmentation fault)");
    begin(&fixture, manifest, "#!/bin/sh\necho error built for another version\nexit 1\n");
    temp_folder_write(fixture.folder, "libbank.so", "", 0600);
    assert_problem(&fixture, "built for another version");
    begin(&fixture, manifest, "#!/bin/sh\nexit 4\n");
    temp_folder_write(fixture.folder, "libbank.so", "", 0600);
    assert_problem(&fixture, "ended the process that loaded it");
}

static void test_hanging_library(void **state)
{
    struct library_probe probe;
    struct err err = {0};
    char *folder = temp_folder_new();
    (void)state;
    temp_folder_write(folder, "node", "#!/bin/sh\nexec sleep 1000\n", 0700);
    char *program = file_join(folder, "node");
    assert_int_equal(library_probe(program, "bank", "/x.so", 100, &probe, &err), -1);
    assert_non_null(strstr(err.text, "hangs while it is loaded"));
    free(program);
    temp_folder_remove(folder);
}

/* All mistakes at once, each with its place. */
static void test_many_mistakes(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture,
        "apiVersion: histrio.dev/v1alpha1\nkind: ActorSystem\nmetadata: {name: bank}\nspec:\n  colour: red\n "
        " actors:\n"
        "    - name: a\n      behavior: {c: bank.x}\n      restart: Sometimes\n",
        NULL);
    assert_int_equal(load(&fixture, 0), -1);
    assert_non_null(strstr(str_text(&fixture.problems), "bank.yaml:5: spec.colour"));
    assert_non_null(strstr(str_text(&fixture.problems), "bank.yaml:9: spec.actors[0].restart"));
    end(&fixture);
}

static void test_impossible_placement(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture,
        "apiVersion: histrio.dev/v1alpha1\nkind: ActorSystem\nmetadata: {name: bank}\nspec:\n  nodes: "
        "{replicas: 2}\n"
        "  code:\n    c: [{library: bank, path: libbank.so}]\n  actors:\n    - name: a\n      replicas: 3\n"
        "      behavior: {c: bank.ledger}\n      placement: {antiAffinity: [a]}\n",
        good_node);
    temp_folder_write(fixture.folder, "libbank.so", "", 0600);
    assert_problem(&fixture, "spec.actors[0].placement: unit \"a.2\" fits on none of 2 nodes");
}

#define PYTHON(code)                                                                                         \
    "apiVersion: histrio.dev/v1alpha1\nkind: ActorSystem\nmetadata: {name: bank}\nspec:\n  nodes: "          \
    "{replicas: "                                                                                            \
    "1}\n"                                                                                                   \
    "  code:\n    python: " code "\n  actors: [{name: a, behavior: {python: \"bank:Teller\"}}]\n"

static void test_python_paths(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture, PYTHON("{}"), NULL);
    assert_int_equal(load(&fixture, 0), 0);
    assert_int_equal(fixture.spec->code.python_path.count, 1);
    assert_string_equal(fixture.spec->code.python_path.items[0], fixture.folder);
    assert_string_equal(fixture.code_folders, fixture.folder);
    end(&fixture);
    begin(&fixture, PYTHON("{path: [., /]}"), NULL);
    assert_int_equal(load(&fixture, 0), 0);
    assert_string_equal(fixture.spec->code.python_path.items[1], "/");
    end(&fixture);
    begin(&fixture, PYTHON("{path: [nowhere]}"), NULL);
    assert_problem(&fixture, "bank.yaml:7: spec.code.python.path: there is no folder");
}

static void test_config_maps(void **state)
{
    struct fixture fixture;
    char *folder = temp_folder_new();
    char *named = xasprintf("bank-code=%s", folder);
    const char *const config_maps[] = {"bank-code-2=/", named};
    (void)state;
    begin(&fixture, PYTHON("{configMap: bank-code}"), NULL);
    assert_problem(&fixture, "with --config-map bank-code=FOLDER");
    begin(&fixture, PYTHON("{configMap: bank-code, path: [.]}"), NULL);
    assert_int_equal(load_with(&fixture, 0, config_maps, 2), 0);
    assert_int_equal(fixture.spec->code.python_path.count, 2);
    assert_string_equal(fixture.spec->code.python_path.items[0], folder);
    assert_null(fixture.spec->code.python_config_map); /* it is a path now */
    assert_true(strncmp(fixture.code_folders, folder, strlen(folder)) == 0);
    end(&fixture);
    free(named);
    temp_folder_remove(folder);
}

static void test_no_file_and_huge_file(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture, "", NULL);
    assert_int_equal(unlink(fixture.path), 0);
    assert_problem(&fixture, "bank.yaml");
    begin(&fixture, "", NULL);
    assert_int_equal(truncate(fixture.path, 100 * 1024 * 1024), 0);
    clock_t began = clock(); /* of this process: others may need the cores */
    assert_int_equal(load(&fixture, 0), -1);
    assert_true(clock() - began < CLOCKS_PER_SEC / 2);
    assert_int_equal(fixture.err.kind, ERR_LIMIT);
    end(&fixture);
}

const struct CMUnitTest manifest_tests[] = {
    cmocka_unit_test(test_good),
    cmocka_unit_test(test_library_path),
    cmocka_unit_test(test_missing_library),
    cmocka_unit_test(test_missing_behavior),
    cmocka_unit_test(test_crashing_library),
    cmocka_unit_test(test_hanging_library),
    cmocka_unit_test(test_many_mistakes),
    cmocka_unit_test(test_impossible_placement),
    cmocka_unit_test(test_python_paths),
    cmocka_unit_test(test_config_maps),
    cmocka_unit_test(test_no_file_and_huge_file),
};
const size_t manifest_test_count = sizeof(manifest_tests) / sizeof(manifest_tests[0]);
