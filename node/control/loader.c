#include "node_control/loader.h"

#include "actor/system.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/thread.h"
#include "capi/library_probe.h"
#include "node_control/code_folder.h"
#include "rpc/loop.h"

#include <stdlib.h>

/* Owned by the loop's thread, except for `job` while the thread runs: it belongs to the thread until it
 * posts. */
struct loader {
    struct rpc_loop *loop;
    struct actor_system *actors;
    const char *program;
    void (*loaded)(void *ctx, struct loader_job *job);
    void *ctx;
    struct thread *thread;
    struct loader_job job;
    bool is_busy;
    bool is_detached;
};

void loader_python_done(struct loader_python *python)
{
    vec_for_each (path, &python->paths)
        free(*path);
    vec_for_each (module, &python->preload)
        free(*module);
    vec_done(&python->paths);
    vec_done(&python->preload);
    free(python->error);
    *python = (struct loader_python){0};
}

void loader_job_done(struct loader_job *job)
{
    loader_python_done(&job->python);
    vec_for_each (library, &job->libraries) {
        free(library->name);
        free(library->path);
        free(library->error);
    }
    vec_for_each (folder, &job->folders)
        free(*folder);
    vec_for_each (narrow, &job->narrower)
        free(*narrow);
    vec_done(&job->libraries);
    vec_done(&job->folders);
    vec_done(&job->narrower);
}

/* The real path takes the place of *path. */
static int find(const struct loader_job *job, enum code_kind kind, char **path, struct err *err)
{
    _cleanup_(cleanup_free) char *real = NULL;
    _cleanup_(cleanup_free) char *again = NULL;
    if (code_folder_find(
            *path, kind, (const char *const *)job->folders.items, job->folders.count, &real, err) < 0)
        return -1;
    if (job->narrower.count > 0 && code_folder_find(real, kind, (const char *const *)job->narrower.items,
                                       job->narrower.count, &again, err) < 0)
        return -1;
    free(*path);
    *path = steal_ptr(&real);
    return 0;
}

static int load(struct loader *loader, struct loader_library *library, struct err *err)
{
    struct library_probe probe;
    if (find(&loader->job, CODE_FILE, &library->path, err) < 0 ||
        library_probe(loader->program, library->name, library->path, LIBRARY_PROBE_TIMEOUT_MS, &probe, err) <
            0)
        return -1;
    library_probe_done(&probe);
    return actor_system_load_library(loader->actors, library->name, library->path, err);
}

static void find_python(struct loader_job *job)
{
    struct err err = {0};
    vec_for_each (path, &job->python.paths) {
        if (find(job, CODE_FOLDER, path, &err) == 0)
            continue;
        job->python.error = xstrdup(err.text);
        return;
    }
}

static void finished(void *ctx)
{
    struct loader *loader = ctx;
    struct loader_job job = loader->job;
    loader->job = (struct loader_job){0};
    loader->is_busy = false;
    thread_join(
        steal_ptr(&loader->thread)); /* it posted us with its last step; NULL: loader_free() joins it */
    if (loader->is_detached)
        loader_job_done(&job);
    else
        loader->loaded(loader->ctx, &job);
}

static void run(void *ctx)
{
    struct loader *loader = ctx;
    vec_for_each (library, &loader->job.libraries) {
        struct err err = {0};
        if (load(loader, library, &err) < 0)
            library->error = xstrdup(err.text);
    }
    find_python(&loader->job);
    rpc_loop_post(loader->loop, finished, loader);
}

struct loader *loader_new(struct rpc_loop *loop, struct actor_system *actors, const char *program,
    void (*loaded)(void *ctx, struct loader_job *job_take), void *ctx)
{
    struct loader *loader = xcalloc(1, sizeof(*loader));
    *loader =
        (struct loader){.loop = loop, .actors = actors, .program = program, .loaded = loaded, .ctx = ctx};
    return loader;
}

bool loader_is_busy(const struct loader *loader)
{
    return loader->is_busy;
}

int loader_start_take(struct loader *loader, struct loader_job *job, struct err *err)
{
    loader->job = *job;
    *job = (struct loader_job){0};
    loader->is_busy = true;
    if (thread_start(&loader->thread, "loader", run, loader, err) == 0)
        return 0;
    loader->is_busy = false;
    loader_job_done(&loader->job);
    return -1;
}

/* What loader_free() takes from the loop's thread. */
struct detachment {
    struct loader *loader;
    struct thread *thread;
};

static void detach(void *ctx)
{
    struct detachment *detachment = ctx;
    detachment->loader->is_detached = true;
    detachment->thread = steal_ptr(&detachment->loader->thread);
}

static void do_nothing(void *ctx)
{
    (void)ctx; /* only its place in the order of posts matters */
}

void loader_free(struct loader *loader)
{
    if (!loader)
        return;
    struct detachment detachment = {.loader = loader};
    rpc_loop_call(loader->loop, detach, &detachment);
    thread_join(detachment.thread);
    rpc_loop_call(
        loader->loop, do_nothing, NULL); /* behind a finished() that the thread may just have posted */
    free(loader);
}
