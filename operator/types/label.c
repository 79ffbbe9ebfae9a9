#include "base/mem.h"
#include "base/str.h"
#include "types/system.h"

const char *label_list_get(const struct label_list *labels, const char *key)
{
    vec_for_each (label, labels)
        if (text_equal(label->key, key))
            return label->value;
    return NULL;
}

bool label_list_covers(const struct label_list *have, const struct label_list *wanted)
{
    vec_for_each (label, wanted) {
        const char *value = label_list_get(have, label->key);
        if (!value || !text_equal(value, label->value))
            return false;
    }
    return true;
}

void label_list_add(struct label_list *labels, const char *key, const char *value)
{
    struct label *label = vec_push_new(labels);
    label->key = xstrdup(key);
    label->value = xstrdup(value);
}

void label_list_copy(struct label_list *to, const struct label_list *from)
{
    vec_for_each (label, from)
        label_list_add(to, label->key, label->value);
}

void label_list_done(struct label_list *labels)
{
    vec_for_each (label, labels) {
        free(label->key);
        free(label->value);
    }
    vec_done(labels);
}
