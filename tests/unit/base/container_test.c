#include "harness.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/vec.h"

static int compare_ints(const void *left, const void *right)
{
    return *(const int *)left - *(const int *)right;
}

static void vectors(void **state)
{
    (void)state;
    VEC(int) numbers = {0};
    for (int i = 0; i < 100; i++)
        vec_push(&numbers, (i * 37) % 100);
    vec_sort(&numbers, compare_ints);
    int expected = 0;
    vec_for_each (number, &numbers)
        assert_int_equal(*number, expected++);
    vec_remove_at(&numbers, 0);
    assert_int_equal(numbers.items[0], 1);
    vec_remove_swap(&numbers, 0);
    assert_int_equal(numbers.items[0], 99);
    vec_insert_at(&numbers, 0, 7);
    vec_insert_at(&numbers, numbers.count, 8);
    assert_int_equal(numbers.items[0], 7);
    assert_int_equal(numbers.items[1], 99);
    assert_int_equal(vec_pop(&numbers), 8);
    assert_int_equal(numbers.count, 99);
    *vec_push_new(&numbers) = 5;
    assert_int_equal(numbers.items[99], 5);
    vec_clear(&numbers);
    vec_for_each (number, &numbers)
        fail();
    vec_done(&numbers);
    assert_null(numbers.items);
    vec_for_each (number, &numbers)
        fail();
}

struct item {
    int number;
    struct list_node node;
};

static void lists(void **state)
{
    (void)state;
    struct list list;
    struct list other;
    struct item items[6] = {{0}};
    list_init(&list);
    list_init(&other);
    assert_true(list_is_empty(&list));
    assert_null(list_first(&list));
    assert_null(list_last(&list));
    assert_null(list_pop_front(&list));
    assert_null(list_first_entry(&list, struct item, node));
    list_remove(&items[0].node); /* in no list: nothing happens */
    for (int i = 0; i < 6; i++) {
        items[i].number = i;
        list_push_back(i < 4 ? &list : &other, &items[i].node);
    }
    list_append_all(&list, &other);
    assert_true(list_is_empty(&other));
    list_append_all(&list, &other);
    list_for_each_safe (item, &list, struct item, node) {
        if (item->number % 2 == 1)
            list_remove(&item->node);
    }
    assert_false(list_node_is_linked(&items[1].node));
    list_push_front(&list, &items[1].node);
    int seen[4];
    size_t count = 0;
    list_for_each (item, &list, struct item, node)
        seen[count++] = item->number;
    assert_int_equal(count, 4);
    assert_memory_equal(seen, ((int[]){1, 0, 2, 4}), sizeof(seen));
    assert_ptr_equal(list_entry(list_last(&list), struct item, node), &items[4]);
    assert_ptr_equal(list_first_entry(&list, struct item, node), &items[1]);
    assert_ptr_equal(list_pop_front(&list), &items[1].node);
}

static int freed_values;

static void count_freed(void *value)
{
    freed_values += *(int *)value;
}

static void maps_of_texts(void **state)
{
    (void)state;
    int one = 1;
    int two = 2;
    struct map map = {0};
    assert_null(map_get(&map, "a"));
    assert_false(map_has(&map, "a"));
    assert_null(map_remove(&map, "a"));
    assert_null(map_put(&map, "a", &one));
    assert_ptr_equal(map_put(&map, "a", &two), &one);
    assert_null(map_put(&map, "", &one));
    assert_null(map_put(&map, "none", NULL));
    assert_true(map_has(&map, "none"));
    assert_ptr_equal(map_get_bytes(&map, "abc", 1), &two);
    assert_int_equal(map_count(&map), 3);
    assert_null(map_remove(&map, "none"));
    freed_values = 0;
    map_done(&map, count_freed);
    assert_int_equal(freed_values, 3);
    assert_int_equal(map_count(&map), 0);
    assert_null(map_get(&map, "a"));
}

static void walks_keep_the_order(void **state)
{
    (void)state;
    struct map map = {0};
    char key[16];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        (void)map_put(&map, key, &map); /* a new key */
    }
    int expected = 0;
    map_for_each (item, &map) {
        (void)snprintf(key, sizeof(key), "k%d", expected);
        assert_string_equal(item.key, key);
        if (expected % 3 != 0)
            assert_ptr_equal(map_remove(&map, key), &map); /* the present one, during the walk */
        expected++;
    }
    assert_int_equal(expected, 1000);
    assert_int_equal(map_count(&map), 334);
    expected = 0;
    map_for_each (item, &map) {
        (void)snprintf(key, sizeof(key), "k%d", expected);
        assert_string_equal(item.key, key);
        expected += 3;
    }
    map_done(&map, NULL);
}

/* Against an array as the model, with keys that come and go. */
static void map_equals_its_model(uint64_t seed, unsigned key_count)
{
    enum { KEYS = 300 };
    struct rng rng;
    struct map texts = {0};
    struct map64 numbers = {0};
    void *model[KEYS] = {0};
    size_t count = 0;
    rng_seed(&rng, seed);
    for (int step = 0; step < 20000; step++) {
        uint64_t index = rng_below(&rng, key_count);
        uint64_t key = index * 0x100000001ULL;
        char text[32];
        (void)snprintf(text, sizeof(text), "key-%llu", (unsigned long long)index);
        bool is_put = rng_below(&rng, 100) < (step / 2000 % 2 ? 80U : 30U);
        void *value = is_put ? (void *)(uintptr_t)(step + 1) : NULL;
        void *former = is_put ? map_put(&texts, text, value) : map_remove(&texts, text);
        void *former64 = is_put ? map64_put(&numbers, key, value) : map64_remove(&numbers, key);
        if (former != model[index] || former64 != model[index])
            fail_msg("seed %llu step %d", (unsigned long long)seed, step);
        count += (value != NULL) - (size_t)(model[index] != NULL);
        model[index] = value;
        assert_int_equal(map_count(&texts), count);
        assert_int_equal(map64_count(&numbers), count);
    }
    size_t seen = 0;
    map64_for_each(item, &numbers)
    {
        assert_ptr_equal(item.value, model[item.key / 0x100000001ULL]);
        assert_true(map64_has(&numbers, item.key));
        assert_ptr_equal(map64_get(&numbers, item.key), item.value);
        seen++;
    }
    assert_int_equal(seen, count);
    map_done(&texts, NULL);
    map64_done(&numbers, NULL);
}

static void maps_equal_their_models(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++)
        map_equals_its_model(seed, seed % 2 ? 300 : 12); /* the latter: between small and not */
}

TEST_GROUP(container, cmocka_unit_test(vectors), cmocka_unit_test(lists), cmocka_unit_test(maps_of_texts),
    cmocka_unit_test(walks_keep_the_order), cmocka_unit_test(maps_equal_their_models));
