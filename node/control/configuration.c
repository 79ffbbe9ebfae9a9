/* The system's configuration: which code, from where. */
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "node_control/control_private.h"

#include <stdlib.h>
#include <string.h>

static struct loader_library *find_library(const struct node_control *control, const char *name, size_t size)
{
    vec_for_each (library, &control->libraries.items) {
        if (strlen(library->name) == size && memcmp(library->name, name, size) == 0)
            return library;
    }
    return NULL;
}

bool control_is_ready(const struct node_control *control)
{
    return control->is_configured && !loader_is_busy(control->loader);
}

static void add_python(struct loader_job *job, const struct command_python *wanted)
{
    job->has_python = true;
    for (size_t i = 0; i < wanted->path_count; i++)
        vec_push(&job->python.paths, xstrdup(wanted->paths[i]));
    for (size_t i = 0; i < wanted->preload_count; i++)
        vec_push(&job->python.preload, xstrdup(wanted->preload[i]));
    job->python.workers = wanted->workers;
    job->python.handler_timeout_ms = wanted->handler_timeout_ms;
    job->python.memory_bytes_max = wanted->memory_bytes_max;
}

/* What is to be loaded: libraries that are new, or that failed before. A loaded one stays: code changes with
 * the node. */
static struct loader_job make_job(
    const struct node_control *control, const struct command_configuration *configuration)
{
    struct loader_job job = {0};
    for (size_t i = 0; i < configuration->library_count; i++) {
        const struct command_library *wanted = &configuration->libraries[i];
        const struct loader_library *known = find_library(control, wanted->name, strlen(wanted->name));
        if (known && !known->error)
            continue;
        struct loader_library *library = vec_push_new(&job.libraries);
        library->name = xstrdup(wanted->name);
        library->path = xstrdup(wanted->path);
    }
    if (configuration->has_python)
        add_python(&job, &configuration->python);
    job.has_c_workers = configuration->has_c_workers;
    job.c_workers = (struct loader_workers){configuration->c_workers.count,
        configuration->c_workers.handler_timeout_ms, configuration->c_workers.memory_bytes_max};
    for (size_t i = 0; i < control->config.code_folder_count; i++)
        vec_push(&job.folders, xstrdup(control->config.code_folders[i]));
    for (size_t i = 0; i < configuration->code_folder_count; i++)
        vec_push(&job.narrower, xstrdup(configuration->code_folders[i]));
    return job;
}

static void start_job_take(struct node_control *control, struct loader_job *job)
{
    struct err err = {0};
    if (job->libraries.count == 0 && !job->has_python && !job->has_c_workers) {
        loader_job_done(job);
        control->acknowledged_generation = control->configuration_generation;
        control_acknowledge(control);
        control_advance_waiting(control);
    } else if (loader_start_take(control->loader, job, &err) < 0) {
        /* The libraries stay unknown, and units that need them fail with that reason. */
        log_event(LOG_ERROR, "cannot load libraries", "error", err.text, NULL);
    }
}

void control_configure(struct node_control *control, const struct command_configuration *configuration)
{
    if (control->is_configured && configuration->generation < control->configuration_generation)
        return;
    control->is_configured = true;
    control->configuration_generation = configuration->generation;
    lease_set_ttl(&control->lease, configuration->lease_ms);
    if (configuration->workers && configuration->workers != control->config.worker_count)
        log_event(LOG_WARNING, "the number of workers is fixed when a node starts", "wanted",
            log_number(configuration->workers), NULL);
    struct loader_job job = make_job(control, configuration);
    if (!loader_is_busy(control->loader)) {
        start_job_take(control, &job);
        return;
    }
    loader_job_done(&control->queued_job);
    control->queued_job = job;
    control->has_queued_job = true;
}

static void remember_take(struct node_control *control, struct loader_library *library)
{
    struct loader_library *known = find_library(control, library->name, strlen(library->name));
    if (library->error)
        log_event(LOG_ERROR, "library not loaded", "library", library->name, "path", library->path, "error",
            library->error, NULL);
    else
        log_event(LOG_INFO, "library loaded", "library", library->name, "path", library->path, NULL);
    if (!known)
        known = vec_push_new(&control->libraries.items);
    struct loader_library former = *known;
    *known = *library;
    *library = former; /* the job ends with it */
}

static void remember_python_take(struct node_control *control, struct loader_python *python)
{
    struct loader_python former = control->python;
    control->has_python = true;
    control->python = *python;
    *python = former; /* the job ends with it */
    if (control->python.error)
        log_event(LOG_ERROR, "no code in Python", "error", control->python.error, NULL);
}

static void configure_host(const struct node_control *control)
{
    const struct loader_python *python =
        control->has_python && !control->python.error ? &control->python : NULL;
    const struct loader_workers *c_workers = control->has_c_workers ? &control->c_workers : NULL;
    if (control->config.code.configure && (python || c_workers))
        control->config.code.configure(control->config.code.ctx, python, c_workers);
}

void control_libraries_loaded(void *ctx, struct loader_job *job)
{
    struct node_control *control = ctx;
    vec_for_each (library, &job->libraries)
        remember_take(control, library);
    if (job->has_python)
        remember_python_take(control, &job->python);
    if (job->has_c_workers) {
        control->has_c_workers = true;
        control->c_workers = job->c_workers;
    }
    if (job->has_python || job->has_c_workers)
        configure_host(control);
    loader_job_done(job);
    struct loader_job next = {0};
    if (control->has_queued_job)
        next = control->queued_job;
    control->queued_job = (struct loader_job){0};
    control->has_queued_job = false;
    start_job_take(control, &next);
}

/* Whether module and class are there, only a worker process can tell. */
static int check_python(const struct node_control *control, const char *behavior, struct err *err)
{
    if (!control->has_python)
        return err_set(err, ERR_NOT_FOUND, "behavior \"%s\": the system has no code.python", behavior);
    if (control->python.error)
        return err_set(err, ERR_NOT_FOUND, "behavior \"%s\": %s", behavior, control->python.error);
    if (!control->config.code.configure)
        return err_set(err, ERR_UNAVAILABLE, "behavior \"%s\": this node runs no Python", behavior);
    return 0;
}

static int check_behavior(struct node_control *control, const struct actor_child_spec *child, struct err *err)
{
    if (!child->behavior)
        return 0;
    if (strchr(child->behavior, ':'))
        return check_python(control, child->behavior, err);
    size_t size = strcspn(child->behavior, ".");
    const struct loader_library *library = find_library(control, child->behavior, size);
    if (!library)
        return err_set(err, ERR_NOT_FOUND, "behavior \"%s\": the system's code has no library \"%.*s\"",
            child->behavior, (int)size, child->behavior);
    if (library->error)
        return err_set(
            err, ERR_NOT_FOUND, "behavior \"%s\": library not loaded: %s", child->behavior, library->error);
    if (!actor_system_has_behavior(control->actors, child->behavior))
        return err_set(
            err, ERR_NOT_FOUND, "behavior \"%s\" is not in \"%s\"", child->behavior, library->path);
    return 0;
}

int control_check_behaviors(struct node_control *control, const struct actor_unit_spec *spec, struct err *err)
{
    if (check_behavior(control, &spec->root, err) < 0)
        return -1;
    for (size_t i = 0; i < spec->child_count; i++)
        if (check_behavior(control, &spec->children[i], err) < 0)
            return -1;
    return 0;
}
