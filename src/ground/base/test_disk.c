/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ground/base/disk.h"

struct place {
    char dir[32];
    struct disk disk;
};

static int place_make(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    if (!p)
        return -1;
    (void)snprintf(p->dir, sizeof p->dir, "/tmp/test_disk_XXXXXX");
    if (!mkdtemp(p->dir) || disk_open(p->dir, &p->disk) != OK)
        return -1;
    *state = p;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static int place_drop(void **state)
{
    struct place *p = *state;
    disk_close(&p->disk);
    disk_close(&p->disk);
    nftw(p->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(p);
    return 0;
}

static void check_content(struct place *p, const char *path, const char *content)
{
    AUTO(buf_done) struct buf b;
    buf_init(&b, 100);
    assert_int_equal(p->disk.read(p->disk.self, path, &b), OK);
    assert_string_equal(buf_text(&b), content);
}

static unsigned mode_of(struct place *p, const char *path)
{
    char full[300];
    struct stat st;
    (void)snprintf(full, sizeof full, "%s/%s", p->dir, path);
    assert_int_equal(stat(full, &st), 0);
    return st.st_mode & 0777;
}

static enum err count_names(void *context, const char *name)
{
    size_t *count = context;
    ENSURE(name[0] != '.', ERR_CONFLICT, "left_over", "%s", name);
    ++*count;
    return OK;
}

static void files_are_replaced_whole(void **state)
{
    struct place *p = *state;
    struct disk *d = &p->disk;
    size_t count = 0;

    assert_int_equal(d->replace(d->self, "a/b/file", SPAN_LIT("one"), 0600), OK);
    check_content(p, "a/b/file", "one");
    assert_int_equal(mode_of(p, "a/b/file"), 0600);
    assert_int_equal(mode_of(p, "a"), 0700);
    assert_int_equal(d->replace(d->self, "a/b/file", SPAN_LIT("other"), 0600), OK);
    check_content(p, "a/b/file", "other");
    assert_int_equal(d->list(d->self, "a/b", count_names, &count), OK);
    assert_int_equal(count, 1);
}

static void files_are_created_once(void **state)
{
    struct place *p = *state;
    struct disk *d = &p->disk;
    size_t count = 0;

    assert_int_equal(d->create(d->self, "key", SPAN_LIT("secret"), 0400), OK);
    assert_int_equal(mode_of(p, "key"), 0400);
    assert_int_equal(d->create(d->self, "key", SPAN_LIT("secret"), 0400), OK);
    assert_int_equal(d->create(d->self, "key", SPAN_LIT("secreT"), 0400), ERR_CONFLICT);
    assert_int_equal(d->create(d->self, "key", SPAN_LIT("secret and more"), 0400), ERR_CONFLICT);
    assert_int_equal(d->create(d->self, "key", SPAN_LIT("sec"), 0400), ERR_CONFLICT);
    assert_int_equal(d->create(d->self, "key", SPAN_LIT(""), 0400), ERR_CONFLICT);
    check_content(p, "key", "secret");
    assert_int_equal(d->list(d->self, ".", count_names, &count), OK);
    assert_int_equal(count, 1);
}

static void many_files_are_made_at_once(void **state)
{
    struct place *p = *state;
    struct disk *d = &p->disk;
    size_t count = 0;

    const struct disk_file files[] = {{"a/b/1", SPAN_LIT("one")}, {"a/b/2", SPAN_LIT("two")}};
    const struct disk_file others[] = {
        {"a/3", SPAN_LIT("three")}, {"a/b/2", SPAN_LIT("two")}, {"top", SPAN_LIT("top")}};
    const struct disk_file bad[] = {{"a/b/2", SPAN_LIT("twice")}, {"../x", SPAN_LIT("x")}};
    const struct disk_file half[] = {{"a/b/4", SPAN_LIT("four")}, {"a/b/..", SPAN_LIT("x")}};

    assert_int_equal(d->create_all(d->self, files, 0, 0600), OK);
    assert_int_equal(d->create_all(d->self, files, 2, 0600), OK);
    assert_int_equal(d->create_all(d->self, others, 3, 0600), OK); /* one was there */
    assert_int_equal(d->create_all(d->self, bad, 1, 0600), ERR_CONFLICT);
    assert_int_equal(d->create_all(d->self, bad + 1, 1, 0600), ERR_INVALID);
    assert_int_equal(d->create_all(d->self, half, 2, 0600), ERR_INVALID);
    check_content(p, "a/b/1", "one");
    check_content(p, "a/b/2", "two");
    check_content(p, "a/3", "three");
    check_content(p, "top", "top");
    assert_int_equal(d->list(d->self, "a/b", count_names, &count), OK);
    assert_int_equal(count, 2); /* nothing temporary is left */
}

static void a_journal_is_appended_to_and_cut(void **state)
{
    struct place *p = *state;
    struct disk *d = &p->disk;
    int h;

    assert_int_equal(d->append_open(d->self, "log/journal", 0600, &h), OK);
    assert_int_equal(d->append(d->self, h, SPAN_LIT("one,")), OK);
    assert_int_equal(d->append(d->self, h, SPAN_LIT("two,")), OK);
    assert_int_equal(d->sync(d->self, h), OK);
    d->close(d->self, h);
    assert_int_equal(d->append_open(d->self, "log/journal", 0600, &h), OK);
    assert_int_equal(d->truncate(d->self, h, 4), OK);
    assert_int_equal(d->append(d->self, h, SPAN_LIT("three")), OK);
    d->close(d->self, h);
    check_content(p, "log/journal", "one,three");
}

static void what_is_not_there_is_not_found(void **state)
{
    struct place *p = *state;
    struct disk *d = &p->disk;
    AUTO(buf_done) struct buf b;
    struct disk none;
    size_t count = 0;

    buf_init(&b, 10);
    assert_int_equal(d->read(d->self, "nothing", &b), ERR_NOT_FOUND);
    assert_int_equal(d->read(d->self, "no/where", &b), ERR_NOT_FOUND);
    assert_int_equal(d->remove(d->self, "nothing"), ERR_NOT_FOUND);
    assert_int_equal(d->list(d->self, "nothing", count_names, &count), ERR_NOT_FOUND);
    assert_int_equal(disk_open("/nonexistent/place", &none), ERR_NOT_FOUND);
    assert_int_equal(d->replace(d->self, "x", SPAN_LIT("1"), 0600), OK);
    assert_int_equal(d->remove(d->self, "x"), OK);
    assert_int_equal(d->read(d->self, "x", &b), ERR_NOT_FOUND);
}

static void a_file_past_the_readers_maximum_is_refused(void **state)
{
    struct place *p = *state;
    struct disk *d = &p->disk;
    AUTO(buf_done) struct buf b;

    assert_int_equal(d->replace(d->self, "x", SPAN_LIT("12345678901"), 0600), OK);
    buf_init(&b, 10);
    assert_int_equal(d->read(d->self, "x", &b), ERR_LIMIT);
    buf_done(&b);
    buf_init(&b, 11);
    assert_int_equal(d->read(d->self, "x", &b), OK);
}

static void paths_stay_inside(void **state)
{
    static const char *const bad[] = {"",          "/etc/passwd", "..",  "../x",  "a/..", "a/../x",
                                      "a/../../x", ".",           "./x", "a/./x", "a//x"};
    struct place *p = *state;
    struct disk *d = &p->disk;
    AUTO(buf_done) struct buf b;
    size_t count = 0;
    int h;
    char long_path[600];

    buf_init(&b, 10000);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (d->read(d->self, bad[i], &b) != ERR_INVALID ||
            d->replace(d->self, bad[i], SPAN_LIT("x"), 0600) != ERR_INVALID ||
            d->create(d->self, bad[i], SPAN_LIT("x"), 0600) != ERR_INVALID ||
            d->append_open(d->self, bad[i], 0600, &h) != ERR_INVALID ||
            d->remove(d->self, bad[i]) != ERR_INVALID)
            fail_msg("accepted: %s", bad[i]);
        if (strcmp(bad[i], ".") != 0)
            assert_int_equal(d->list(d->self, bad[i], count_names, &count), ERR_INVALID);
    }
    memset(long_path, 'a', sizeof long_path);
    long_path[599] = '\0';
    assert_int_equal(d->read(d->self, long_path, &b), ERR_INVALID);
    assert_int_equal(d->replace(d->self, "...", SPAN_LIT("x"), 0600), OK);
    check_content(p, "...", "x");
}

static void links_are_not_followed(void **state)
{
    struct place *p = *state;
    struct disk *d = &p->disk;
    AUTO(buf_done) struct buf b;
    char link[64];
    size_t count = 0;
    int h;

    assert_int_equal(d->replace(d->self, "real/file", SPAN_LIT("x"), 0600), OK);
    (void)snprintf(link, sizeof link, "%s/dir", p->dir);
    assert_int_equal(symlink("real", link), 0);
    (void)snprintf(link, sizeof link, "%s/link", p->dir);
    assert_int_equal(symlink("real/file", link), 0);
    buf_init(&b, 100);
    assert_int_equal(d->read(d->self, "dir/file", &b), ERR_IO);
    assert_int_equal(d->read(d->self, "link", &b), ERR_IO);
    assert_int_equal(d->replace(d->self, "dir/new", SPAN_LIT("y"), 0600), ERR_IO);
    assert_int_equal(d->append_open(d->self, "link", 0600, &h), ERR_IO);
    assert_int_equal(d->list(d->self, "dir", count_names, &count), ERR_IO);
    /* Replacing a link replaces the link, not what it points at. */
    assert_int_equal(d->replace(d->self, "link", SPAN_LIT("z"), 0600), OK);
    check_content(p, "link", "z");
    check_content(p, "real/file", "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_are_replaced_whole, place_make, place_drop),
        cmocka_unit_test_setup_teardown(files_are_created_once, place_make, place_drop),
        cmocka_unit_test_setup_teardown(many_files_are_made_at_once, place_make, place_drop),
        cmocka_unit_test_setup_teardown(a_journal_is_appended_to_and_cut, place_make, place_drop),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_not_found, place_make, place_drop),
        cmocka_unit_test_setup_teardown(a_file_past_the_readers_maximum_is_refused, place_make,
                                        place_drop),
        cmocka_unit_test_setup_teardown(paths_stay_inside, place_make, place_drop),
        cmocka_unit_test_setup_teardown(links_are_not_followed, place_make, place_drop),
    };
    return cmocka_run_group_tests_name("base/disk", tests, NULL, NULL);
}
