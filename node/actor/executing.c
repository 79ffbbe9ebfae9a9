#include "actor/executing.h"

#include "actor/crash.h"
#include "actor/unit.h"

static _Thread_local struct worker *executing_worker;

void executing_set_thread(struct worker *worker)
{
    executing_worker = worker;
}

struct worker *executing_thread(void)
{
    return executing_worker;
}

static void copy_text(char *buffer, size_t size, const char *text)
{
    size_t i = 0;
    for (; i + 1 < size && text[i]; i++)
        buffer[i] = text[i];
    buffer[i] = 0;
}

bool actor_executing(char *path, size_t path_size, char *unit, size_t unit_size, char *type, size_t type_size)
{
    const struct worker *worker = executing_worker;
    const struct actor *actor =
        worker ? atomic_load_explicit(&worker->watched.executing, memory_order_relaxed) : NULL;
    if (!actor)
        return false;
    copy_text(path, path_size, intern_text(actor->name));
    copy_text(unit, unit_size, actor->unit ? unit_name(actor->unit) : "");
    copy_text(type, type_size,
        intern_text(atomic_load_explicit(&worker->watched.executing_type, memory_order_relaxed)));
    return true;
}
