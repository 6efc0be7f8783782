/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "store/store/testing.h"
#include "trust/keyring/keyring.h"

#define WEEK_MS (INT64_C(7) * 24 * 3600 * 1000)

static struct store_testing t;
static struct disk disk;
static struct keyring *kr;
static uint8_t master[SECRET_BYTES] = {1, 2, 3};

static struct keyring_config config(void)
{
    return (struct keyring_config){.disk = &disk,
                                   .path = "keys",
                                   .master = master,
                                   .clock = &t.clock.clock,
                                   .rng = &t.rng.rng,
                                   .may_create = true};
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(crypto_init(), OK);
    store_testing_open(&t);
    assert_int_equal(disk_open(t.dir, &disk), OK);
    struct keyring_config c = config();
    assert_int_equal(keyring_open(&c, &kr), OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    keyring_close(kr);
    disk_close(&disk);
    store_testing_close(&t);
    return 0;
}

static void reopen(void)
{
    struct keyring_config c = config();
    c.may_create = false;
    keyring_close(kr);
    assert_int_equal(keyring_open(&c, &kr), OK);
}

static int64_t no;
static uint8_t box_bytes[256];
static size_t box_len;

static enum err make(struct store_tx *tx, void *context)
{
    (void)context;
    return keyring_person_create(tx, kr, &no);
}

static enum err seal(struct store_tx *tx, void *context)
{
    AUTO(buf_done) struct buf b = {0};
    buf_init(&b, sizeof box_bytes);
    TRY(keyring_seal_column(tx, kr, no, "account.mail", span_text(context), &b));
    memcpy(box_bytes, b.data, b.len);
    box_len = b.len;
    return OK;
}

struct opening {
    int64_t person_no;
    const char *column, *want;
};

static enum err open_box(struct store_tx *tx, void *context)
{
    struct opening *o = context;
    AUTO(buf_done) struct buf b = {0};
    buf_init(&b, 256);
    TRY(keyring_open_column(tx, kr, o->person_no, o->column, span_of(box_bytes, box_len), &b));
    return span_eq_text(buf_span(&b), o->want) ? OK : ERR_UNCERTAIN;
}

static enum err erase(struct store_tx *tx, void *context)
{
    (void)context;
    return keyring_person_erase(tx, kr, no);
}

static void a_column_opens_for_its_person_and_name_only(void **state)
{
    (void)state;
    assert_int_equal(store_testing_run(&t, make, NULL), OK);
    int64_t first = no;
    assert_int_equal(store_testing_run(&t, make, NULL), OK);
    assert_int_not_equal(first, no);
    assert_int_equal(store_testing_run(&t, seal, "ada@example.org"), OK);
    assert_int_equal(box_len, strlen("ada@example.org") + KEYRING_SEAL_OVERHEAD);
    assert_null(memmem(box_bytes, box_len, "ada", 3));
    struct opening o = {no, "account.mail", "ada@example.org"};
    assert_int_equal(store_testing_read(&t, open_box, &o), OK);
    reopen();
    assert_int_equal(store_testing_read(&t, open_box, &o), OK);
    o.column = "account.name";
    assert_int_equal(store_testing_read(&t, open_box, &o), ERR_CORRUPT);
    o = (struct opening){first, "account.mail", "ada@example.org"};
    assert_int_equal(store_testing_read(&t, open_box, &o), ERR_CORRUPT);
    o.person_no = 999;
    assert_int_equal(store_testing_read(&t, open_box, &o), ERR_NOT_FOUND);
    o.person_no = no;
    box_bytes[30] ^= 1;
    assert_int_equal(store_testing_read(&t, open_box, &o), ERR_CORRUPT);
    box_bytes[30] ^= 1;
    box_len = 10;
    assert_int_equal(store_testing_read(&t, open_box, &o), ERR_CORRUPT);
}

static void an_empty_column_seals_too(void **state)
{
    (void)state;
    assert_int_equal(store_testing_run(&t, make, NULL), OK);
    assert_int_equal(store_testing_run(&t, seal, ""), OK);
    struct opening o = {no, "account.mail", ""};
    assert_int_equal(store_testing_read(&t, open_box, &o), OK);
}

static void erased_is_erased_also_after_a_restart(void **state)
{
    (void)state;
    assert_int_equal(store_testing_run(&t, make, NULL), OK);
    assert_int_equal(store_testing_run(&t, seal, "ada@example.org"), OK);
    struct opening o = {no, "account.mail", "ada@example.org"};
    assert_int_equal(store_testing_read(&t, open_box, &o), OK);
    assert_int_equal(store_testing_run(&t, erase, NULL), OK);
    assert_int_equal(store_testing_read(&t, open_box, &o), ERR_EXPIRED);
    assert_string_equal(err_last()->slug, "erased");
    assert_int_equal(store_testing_run(&t, seal, "remembered"), ERR_EXPIRED);
    assert_int_equal(store_testing_run(&t, erase, NULL), OK);
    reopen();
    assert_int_equal(store_testing_read(&t, open_box, &o), ERR_EXPIRED);
    assert_int_equal(store_testing_run(&t, seal, "again"), ERR_EXPIRED);
    no = 999;
    assert_int_equal(store_testing_run(&t, erase, NULL), ERR_NOT_FOUND);
}

static enum err make_and_fail(struct store_tx *tx, void *context)
{
    TRY(make(tx, context));
    TRY(seal(tx, "lost"));
    FAIL(ERR_CONFLICT, "test", "undone");
}

static void an_undone_person_leaves_nothing_behind(void **state)
{
    (void)state;
    assert_int_equal(store_testing_run(&t, make_and_fail, NULL), ERR_CONFLICT);
    int64_t undone = no;
    assert_int_equal(store_testing_run(&t, make, NULL), OK);
    assert_int_equal(no, undone); /* the number is used again, with another key */
    struct opening o = {no, "account.mail", "lost"};
    assert_int_equal(store_testing_read(&t, open_box, &o), ERR_CORRUPT);
}

static void a_wrapped_key_moved_to_another_person_does_not_open(void **state)
{
    (void)state;
    assert_int_equal(store_testing_run(&t, make, NULL), OK);
    assert_int_equal(store_testing_run(&t, make, NULL), OK);
    assert_int_equal(store_testing_run(&t, seal, "x"), OK);
    store_testing_sql(&t, "UPDATE person SET wrapped_key = (SELECT wrapped_key FROM person WHERE "
                          "person_no = 1) WHERE person_no = 2");
    struct opening o = {no, "account.mail", "x"};
    assert_int_equal(store_testing_read(&t, open_box, &o), ERR_CORRUPT);
}

struct scope_ask {
    enum keyring_scope scope;
    int64_t subject;
    struct secret32 key;
};
static enum err scope_make(struct store_tx *tx, void *context)
{
    struct scope_ask *a = context;
    return keyring_scope_key_make(tx, kr, a->scope, a->subject, &a->key);
}
static enum err scope_get(struct store_tx *tx, void *context)
{
    struct scope_ask *a = context;
    return keyring_scope_key(tx, kr, a->scope, a->subject, &a->key);
}

static void scope_keys_are_made_once_and_differ(void **state)
{
    struct scope_ask a = {SCOPE_EVENT, 7, {{0}}}, b = {SCOPE_EVENT_TICKETS, 7, {{0}}}, c = a;

    (void)state;
    assert_int_equal(store_testing_read(&t, scope_get, &a), ERR_NOT_FOUND);
    assert_int_equal(store_testing_run(&t, scope_make, &a), OK);
    assert_int_equal(store_testing_run(&t, scope_make, &b), OK);
    assert_memory_not_equal(a.key.b, b.key.b, SECRET_BYTES);
    assert_int_equal(store_testing_run(&t, scope_make, &c), OK);
    assert_memory_equal(a.key.b, c.key.b, SECRET_BYTES);
    reopen();
    memset(&c.key, 0, sizeof c.key);
    assert_int_equal(store_testing_read(&t, scope_get, &c), OK);
    assert_memory_equal(a.key.b, c.key.b, SECRET_BYTES);
    store_testing_sql(&t, "UPDATE scope_key SET subject_no = 8 WHERE scope = 3");
    c.subject = 8;
    assert_int_equal(store_testing_read(&t, scope_get, &c), ERR_CORRUPT);
}

/* Made, read again and so remembered; then undone. */
static enum err scope_make_twice_and_fail(struct store_tx *tx, void *context)
{
    TRY(scope_make(tx, context));
    TRY(scope_make(tx, context));
    TRY(scope_make(tx, context));
    FAIL(ERR_CONFLICT, "test", "undone");
}

static void a_key_that_was_undone_is_not_remembered(void **state)
{
    struct scope_ask undone = {SCOPE_EVENT, 7, {{0}}}, kept = undone, found = undone;

    (void)state;
    assert_int_equal(store_testing_run(&t, scope_make_twice_and_fail, &undone), ERR_CONFLICT);
    assert_int_equal(store_testing_run(&t, scope_make, &kept), OK);
    assert_memory_not_equal(undone.key.b, kept.key.b, SECRET_BYTES);
    reopen();
    assert_int_equal(store_testing_read(&t, scope_get, &found), OK);
    assert_memory_equal(kept.key.b, found.key.b, SECRET_BYTES);
}

/* Erased and asked for in one command, by whom has just used the key. */
static enum err seal_erase_seal(struct store_tx *tx, void *context)
{
    TRY(seal(tx, context));
    TRY(seal(tx, context));
    TRY(erase(tx, NULL));
    enum err e = seal(tx, context);
    return e == ERR_EXPIRED ? OK : ERR_UNCERTAIN;
}

static void erasing_forgets_what_the_command_remembers(void **state)
{
    (void)state;
    assert_int_equal(store_testing_run(&t, make, NULL), OK);
    assert_int_equal(store_testing_run(&t, seal_erase_seal, "x"), OK);
    assert_int_equal(store_testing_run(&t, seal, "x"), ERR_EXPIRED);
}

static void tenant_subjects_change_with_the_year(void **state)
{
    (void)state;
    assert_int_equal(keyring_tenant_subject(3, 0), 31970);
    assert_int_equal(keyring_tenant_subject(3, INT64_C(1790000000000)), 32026);
    assert_int_equal(keyring_tenant_subject(3, INT64_C(1798761599999)), 32026);
    assert_int_equal(keyring_tenant_subject(3, INT64_C(1798761600000)), 32027);
    assert_int_equal(keyring_tenant_subject(3, INT64_C(1582934400000)), 32020); /* 29 February */
    assert_int_equal(keyring_tenant_subject(3, -1), 31969);
}

static void lookup_hashes_depend_on_key_and_domain(void **state)
{
    uint8_t a[32], b[32], c[32];

    (void)state;
    keyring_lookup_hash(kr, "mail", SPAN_LIT("ada@example.org"), a);
    keyring_lookup_hash(kr, "phone", SPAN_LIT("ada@example.org"), b);
    assert_memory_not_equal(a, b, 32);
    reopen();
    keyring_lookup_hash(kr, "mail", SPAN_LIT("ada@example.org"), c);
    assert_memory_equal(a, c, 32);
    sha256(SPAN_LIT("ada@example.org"), b);
    assert_memory_not_equal(a, b, 32);
}

static void another_master_a_missing_or_an_altered_file_is_refused(void **state)
{
    struct keyring_config c = config();
    struct keyring *other;
    uint8_t wrong[SECRET_BYTES] = {9};
    AUTO(buf_done) struct buf b = {0};

    (void)state;
    c.master = wrong;
    assert_int_equal(keyring_open(&c, &other), ERR_DENIED);
    c = config();
    c.path = "elsewhere";
    c.may_create = false;
    assert_int_equal(keyring_open(&c, &other), ERR_CORRUPT);
    buf_init(&b, 100000);
    assert_int_equal(disk.read(disk.self, "keys", &b), OK);
    b.data[b.len - 1] ^= 1;
    assert_int_equal(disk.replace(disk.self, "altered", buf_span(&b), 0600), OK);
    c.path = "altered";
    assert_int_equal(keyring_open(&c, &other), ERR_DENIED);
    assert_int_equal(disk.replace(disk.self, "altered", SPAN_LIT("short"), 0600), OK);
    assert_int_equal(keyring_open(&c, &other), ERR_CORRUPT);
}

struct care {
    size_t dropped;
    bool left;
};
static enum err rewrap_all(struct store_tx *tx, void *context)
{
    struct care *c = context;
    return keyring_rewrap(tx, kr, 2, &c->left);
}
static enum err drop(struct store_tx *tx, void *context)
{
    struct care *c = context;
    return keyring_drop_epochs(tx, kr, 4 * WEEK_MS, &c->dropped);
}

static void old_epochs_go_once_nothing_needs_them(void **state)
{
    struct scope_ask a = {SCOPE_SITE, 0, {{0}}};
    struct care c = {0, true};
    int rounds = 0;

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(store_testing_run(&t, make, NULL), OK);
    assert_int_equal(store_testing_run(&t, seal, "kept"), OK);
    assert_int_equal(store_testing_run(&t, scope_make, &a), OK);
    struct opening o = {no, "account.mail", "kept"};
    store_testing_sql(&t, "CREATE TABLE backup AS SELECT * FROM person");
    clock_fixed_set(&t.clock, STORE_TESTING_NOW_MS + WEEK_MS);
    int64_t before = no;
    assert_int_equal(store_testing_run(&t, make, NULL), OK);
    no = before;
    assert_int_equal(store_testing_number(&t, "SELECT max(epoch_no) FROM person"), 2);
    clock_fixed_set(&t.clock, STORE_TESTING_NOW_MS + 6 * WEEK_MS);
    assert_int_equal(store_testing_read(&t, drop, &c), OK);
    assert_int_equal(c.dropped, 0); /* still needed */
    for (; c.left; rounds++)
        assert_int_equal(store_testing_run(&t, rewrap_all, &c), OK);
    assert_true(rounds >= 3);
    assert_int_equal(store_testing_number(&t, "SELECT min(epoch_no) FROM person"), 3);
    assert_int_equal(store_testing_read(&t, drop, &c), OK);
    assert_int_equal(c.dropped, 1); /* epoch 2 ended just now and stays four weeks */
    assert_int_equal(store_testing_read(&t, open_box, &o), OK);
    reopen();
    assert_int_equal(store_testing_read(&t, open_box, &o), OK);
    struct scope_ask again = {SCOPE_SITE, 0, {{0}}};
    assert_int_equal(store_testing_read(&t, scope_get, &again), OK);
    assert_memory_equal(a.key.b, again.key.b, SECRET_BYTES);
    /* A row from an old backup reads as noise. */
    store_testing_sql(&t, "DELETE FROM person WHERE person_no = 5");
    store_testing_sql(&t, "INSERT INTO person SELECT * FROM backup WHERE person_no = 5");
    assert_int_equal(store_testing_read(&t, open_box, &o), ERR_CORRUPT);
    assert_string_equal(err_last()->slug, "epoch_unknown");
}

static enum err refuse_replace(void *self, const char *path, struct span content, unsigned mode)
{
    (void)self;
    (void)path;
    (void)content;
    (void)mode;
    FAIL(ERR_IO, "disk_full", "test");
}

static void an_epoch_that_is_not_durable_is_not_used(void **state)
{
    enum err (*replace)(void *, const char *, struct span, unsigned) = disk.replace;

    (void)state;
    assert_int_equal(store_testing_run(&t, make, NULL), OK);
    clock_fixed_set(&t.clock, STORE_TESTING_NOW_MS + WEEK_MS);
    disk.replace = refuse_replace;
    assert_int_equal(store_testing_run(&t, make, NULL), ERR_IO);
    disk.replace = replace;
    assert_int_equal(store_testing_number(&t, "SELECT count(*) FROM person"), 1);
    assert_int_equal(store_testing_run(&t, make, NULL), OK);
    reopen();
    assert_int_equal(store_testing_run(&t, seal, "x"), OK);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_column_opens_for_its_person_and_name_only),
        TEST(an_empty_column_seals_too),
        TEST(erased_is_erased_also_after_a_restart),
        TEST(an_undone_person_leaves_nothing_behind),
        TEST(a_wrapped_key_moved_to_another_person_does_not_open),
        TEST(scope_keys_are_made_once_and_differ),
        TEST(a_key_that_was_undone_is_not_remembered),
        TEST(erasing_forgets_what_the_command_remembers),
        TEST(tenant_subjects_change_with_the_year),
        TEST(lookup_hashes_depend_on_key_and_domain),
        TEST(another_master_a_missing_or_an_altered_file_is_refused),
        TEST(old_epochs_go_once_nothing_needs_them),
        TEST(an_epoch_that_is_not_durable_is_not_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
