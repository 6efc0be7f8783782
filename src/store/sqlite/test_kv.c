/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "ground/base/base.h"
#include "store/sqlite/kv.h"

struct rig {
    char dir[32], path[64];
    struct kv *kv;
};

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    (void)snprintf(r->dir, sizeof r->dir, "/tmp/kv-test-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    (void)snprintf(r->path, sizeof r->path, "%s/kv.db", r->dir);
    assert_int_equal(kv_open(r->path, &r->kv), OK);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    char beside[80];
    kv_close(r->kv);
    assert_int_equal(unlink(r->path), 0);
    (void)snprintf(beside, sizeof beside, "%s-wal", r->path);
    (void)unlink(beside);
    (void)snprintf(beside, sizeof beside, "%s-shm", r->path);
    (void)unlink(beside);
    assert_int_equal(rmdir(r->dir), 0);
    free(r);
    return 0;
}

static const char *get(struct kv *kv, const char *bucket, const char *key)
{
    static struct buf b;
    buf_done(&b);
    buf_init(&b, 1000);
    return kv_get(kv, bucket, key, &b) == OK ? buf_text(&b) : NULL;
}

static void values_are_kept_over_a_restart(void **state)
{
    struct rig *r = *state;
    assert_int_equal(kv_put(r->kv, "a", "one", SPAN_LIT("1")), OK);
    assert_int_equal(kv_put(r->kv, "a", "one", SPAN_LIT("uno")), OK);
    assert_int_equal(kv_put(r->kv, "b", "one", SPAN_LIT("")), OK);
    kv_close(r->kv);
    assert_int_equal(kv_open(r->path, &r->kv), OK);
    assert_string_equal(get(r->kv, "a", "one"), "uno");
    assert_string_equal(get(r->kv, "b", "one"), "");
    assert_null(get(r->kv, "a", "two"));
    assert_int_equal(kv_delete(r->kv, "a", "one"), OK);
    assert_int_equal(kv_delete(r->kv, "a", "one"), OK);
    assert_null(get(r->kv, "a", "one"));
}

static void what_is_rolled_back_is_gone(void **state)
{
    struct rig *r = *state;
    assert_int_equal(kv_begin(r->kv), OK);
    assert_int_equal(kv_put(r->kv, "a", "one", SPAN_LIT("1")), OK);
    kv_rollback(r->kv);
    kv_rollback(r->kv);
    assert_null(get(r->kv, "a", "one"));
    assert_int_equal(kv_begin(r->kv), OK);
    assert_int_equal(kv_begin(r->kv), ERR_IO);
    assert_int_equal(kv_put(r->kv, "a", "one", SPAN_LIT("1")), OK);
    assert_int_equal(kv_commit(r->kv), OK);
    assert_string_equal(get(r->kv, "a", "one"), "1");
}

static enum err gather(void *context, const char *key, struct span value)
{
    (void)value;
    buf_put_text(context, key);
    buf_put_u8(context, ' ');
    return OK;
}

static const char *scan(struct kv *kv, struct kv_scan s)
{
    static struct buf b;
    buf_done(&b);
    buf_init(&b, 1000);
    assert_int_equal(kv_scan(kv, &s, gather, &b), OK);
    return buf_text(&b);
}

static enum err stop(void *context, const char *key, struct span value)
{
    (void)context;
    (void)key;
    (void)value;
    return ERR_LIMIT;
}

static void scans_go_both_ways(void **state)
{
    struct kv *kv = ((struct rig *)*state)->kv;
    static const char *const keys[] = {"a", "ab", "abc", "b", "\xC3\xA4"};
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        assert_int_equal(kv_put(kv, "s", keys[i], SPAN_LIT("x")), OK);
    assert_int_equal(kv_put(kv, "t", "a", SPAN_LIT("x")), OK);
    assert_string_equal(scan(kv, (struct kv_scan){.bucket = "s", .rows_max = 9}),
                        "a ab abc b \xC3\xA4 ");
    assert_string_equal(scan(kv, (struct kv_scan){"s", "ab", NULL, false, 9}), "ab abc ");
    assert_string_equal(scan(kv, (struct kv_scan){"s", NULL, "b", true, 2}), "abc ab ");
    assert_string_equal(scan(kv, (struct kv_scan){"s", NULL, "ab", false, 2}), "abc b ");
    assert_string_equal(scan(kv, (struct kv_scan){"u", NULL, NULL, false, 2}), "");
    const struct kv_scan all = {.bucket = "s", .rows_max = 9};
    assert_int_equal(kv_scan(kv, &all, stop, NULL), ERR_LIMIT);
    assert_int_equal(kv_put(kv, "s", "a", SPAN_LIT("still works")), OK);
}

static void a_file_of_something_else_is_left_alone(void **state)
{
    struct rig *r = *state;
    struct kv *other;
    char path[80];
    (void)snprintf(path, sizeof path, "%s/other", r->dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < 200; i++)
        assert_true(fputs("this is no database at all\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_not_equal(kv_open(path, &other), OK);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_are_kept_over_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_rolled_back_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(scans_go_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_of_something_else_is_left_alone, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
