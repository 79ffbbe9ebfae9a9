#include "capi/library.h"

#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void libraries_init(struct libraries *libraries)
{
    memset(libraries, 0, sizeof(*libraries));
    mutex_init(&libraries->lock, 700, "libraries");
}

static void library_behavior_free(void *entry)
{
    struct library_behavior *behavior = entry;
    free(behavior->name);
    free(behavior->path);
    free(behavior);
}

void libraries_done(struct libraries *libraries)
{
    map_done(&libraries->behaviors, library_behavior_free);
    map_done(&libraries->names, NULL);
    vec_for_each (handle, &libraries->handles)
        (void)dlclose(*handle); /* nothing can be done about a failure */
    vec_done(&libraries->handles);
    mutex_done(&libraries->lock);
}

static int library_check(const struct histrio_library *library, const char *name, struct err *err)
{
    if (library->abi_version != HISTRIO_ABI_VERSION)
        return err_set(err, ERR_INVALID,
            "library \"%s\" is built for ABI version %u, this node has %d: rebuild it", name,
            library->abi_version, HISTRIO_ABI_VERSION);
    if (!library->name || strcmp(library->name, name) != 0)
        return err_set(err, ERR_INVALID, "the library calls itself \"%s\", the manifest calls it \"%s\"",
            library->name ? library->name : "", name);
    if (!library->behaviors)
        return err_set(err, ERR_INVALID, "library \"%s\" has no behaviors", name);
    for (const struct histrio_behavior *const *behavior = library->behaviors; *behavior; behavior++) {
        if (!(*behavior)->name || !(*behavior)->receive)
            return err_set(
                err, ERR_INVALID, "library \"%s\": a behavior without a name or without receive", name);
        if (strlen(name) + strlen((*behavior)->name) + 1 > LIMIT_BEHAVIOR_NAME_BYTES)
            return err_set(err, ERR_LIMIT, "library \"%s\": the name of a behavior is too long", name);
        if (!(*behavior)->snapshot != !(*behavior)->restore)
            return err_set(err, ERR_INVALID,
                "library \"%s\": behavior \"%s\" has one of snapshot and restore only", name,
                (*behavior)->name);
        for (const struct histrio_behavior *const *other = library->behaviors; other != behavior; other++)
            if (strcmp((*other)->name, (*behavior)->name) == 0)
                return err_set(
                    err, ERR_INVALID, "library \"%s\" has behavior \"%s\" twice", name, (*behavior)->name);
    }
    return 0;
}

static int add(
    struct libraries *libraries, const struct histrio_library *library, const char *path, struct err *err)
{
    if (library_check(library, library->name ? library->name : "", err) < 0)
        return -1;
    mutex_lock(&libraries->lock);
    const void *present = map_get(&libraries->names, library->name);
    if (!present) {
        map_put(&libraries->names, library->name, (void *)(uintptr_t)library);
        for (const struct histrio_behavior *const *behavior = library->behaviors; *behavior; behavior++) {
            struct library_behavior *entry = xcalloc(1, sizeof(*entry));
            entry->name = xasprintf("%s.%s", library->name, (*behavior)->name);
            entry->path = path ? xstrdup(path) : NULL;
            entry->behavior = *behavior;
            map_put(&libraries->behaviors, entry->name, entry);
        }
    }
    mutex_unlock(&libraries->lock);
    if (present && present != library)
        return err_set(err, ERR_CONFLICT, "a library \"%s\" is loaded already", library->name);
    return 0;
}

int libraries_add(struct libraries *libraries, const struct histrio_library *library, struct err *err)
{
    return add(libraries, library, NULL, err);
}

int libraries_load(struct libraries *libraries, const char *name, const char *path, struct err *err)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *why = dlerror();
        return err_set(err, ERR_NOT_FOUND, "library \"%s\": %s", name, why ? why : "cannot be loaded");
    }
    const struct histrio_library *library = dlsym(handle, "histrio_library");
    int result = -1;
    if (!library)
        err_set(err, ERR_INVALID, "%s is no behavior library: it has no HISTRIO_LIBRARY(...)", path);
    else if (library_check(library, name, err) == 0)
        result = add(libraries, library, path, err);
    if (result < 0) {
        (void)dlclose(handle); /* as above */
        return -1;
    }
    mutex_lock(&libraries->lock);
    vec_push(&libraries->handles, handle);
    mutex_unlock(&libraries->lock);
    return 0;
}

const struct library_behavior *libraries_find(struct libraries *libraries, const char *name)
{
    mutex_lock(&libraries->lock);
    const struct library_behavior *entry = map_get(&libraries->behaviors, name);
    mutex_unlock(&libraries->lock);
    return entry;
}

const struct library_behavior *libraries_find_behavior(
    struct libraries *libraries, const struct histrio_behavior *behavior)
{
    const struct library_behavior *found = NULL;
    mutex_lock(&libraries->lock);
    map_for_each (item, &libraries->behaviors) {
        const struct library_behavior *entry = item.value;
        if (entry->behavior == behavior)
            found = entry;
    }
    mutex_unlock(&libraries->lock);
    return found;
}
