/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, migrating, reading: one owner, a backup before a change of schema, snapshots, time that never goes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/sqlite/sqlite.h"
#include "store/store/internal.h"
#include "store/store/store_core.h"
#include "store/store/testing.h"

static int set_up(void **state)
{
    static struct store_testing t;
    store_testing_open(&t);
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    store_testing_close(*state);
    return 0;
}

static struct store_config config_at(struct store_testing *t, char *path, size_t size,
                                     const char *name)
{
    assert_true((size_t)snprintf(path, size, "%s/%s", t->dir, name) < size);
    return (struct store_config){.driver = store_sqlite(),
                                 .url = path,
                                 .clock = &t->clock.clock,
                                 .rng = &t->rng.rng,
                                 .backup_dir = t->dir};
}

/* Databases in the directory whose names begin so; the last one's path. */
static int databases_like(const char *dir, const char *prefix, char *path, size_t size)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    int count = 0;

    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        size_t len = strlen(entry->d_name);
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 ||
            strcmp(entry->d_name + len - 3, ".db") != 0)
            continue;
        count++;
        assert_true((size_t)snprintf(path, size, "%s/%s", dir, entry->d_name) < size);
    }
    closedir(d);
    return count;
}

static enum err write_site(struct store_tx *tx, void *context)
{
    return store_meta_set(tx, "site", span_text(context));
}

static enum err read_site(struct store_tx *tx, void *context)
{
    buf_reset(context);
    return store_meta_get(tx, "site", context);
}

static void a_fresh_database_has_this_programs_schema_and_no_backup(void **state)
{
    struct store_testing *t = *state;
    char path[512];

    assert_int_equal(store_testing_number(t, "PRAGMA user_version"), store_schema_version());
    assert_int_equal(
        store_testing_number(t, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
    assert_int_equal(store_testing_number(t, "SELECT count(*) FROM pragma_table_list WHERE type ="
                                             " 'table' AND schema = 'main' AND strict = 0"
                                             " AND name NOT LIKE 'sqlite%'"),
                     0);
    assert_int_equal(databases_like(t->dir, "before-migration", path, sizeof path), 0);
}

static void the_scripts_are_numbered_without_gaps(void **state)
{
    char name[32];

    (void)state;
    for (size_t i = 0; i < store_migrations_count; i++) {
        assert_true(snprintf(name, sizeof name, "%03zu.sql", i + 1) > 0);
        assert_string_equal(store_migrations[i].name, name);
        assert_int_equal(strlen(store_migrations[i].data), store_migrations[i].len);
    }
}

static void the_files_are_private(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    struct store_testing *t = *state;
    char path[512];
    struct stat st;

    assert_int_equal(chmod(t->path, 0644), 0);
    store_testing_reopen(t);
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        assert_true(snprintf(path, sizeof path, "%s%s", t->path, suffixes[i]) > 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

static const struct store_migration scripts[] = {
    {"001.sql", "CREATE TABLE one (a @INT@ NOT NULL) @TABLE@;", 0},
    {"002.sql", "CREATE TABLE two (b @TEXT@ NOT NULL PRIMARY KEY) @CLUSTERED@;", 0},
    {"003.sql", "CREATE TABLE three (c @SERIAL@); CREATE TABLE one (a @INT@) @TABLE@;", 0},
    {"004.sql", "CREATE TABLE four (d @MONEY@) @TABLE@;", 0},
};

static void a_backup_is_taken_before_an_older_database_is_migrated(void **state)
{
    struct store_testing *t = *state;
    char path[512], backup[512];
    struct store_config config = config_at(t, path, sizeof path, "old.db");
    struct stat st;
    struct store *s;

    assert_int_equal(store_open_migrations(&config, scripts, 1, &s), OK);
    store_close(s);
    assert_int_equal(databases_like(t->dir, "before-migration", backup, sizeof backup), 0);

    assert_int_equal(store_open_migrations(&config, scripts, 2, &s), OK);
    store_close(s);
    assert_int_equal(databases_like(t->dir, "before-migration-1-to-2-", backup, sizeof backup), 1);
    assert_int_equal(stat(backup, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    /* The copy is a whole database of the old version; the migrated one is not migrated twice. */
    config.url = backup;
    assert_int_equal(store_open_migrations(&config, scripts, 1, &s), OK);
    store_close(s);
    config.url = path;
    assert_int_equal(store_open_migrations(&config, scripts, 2, &s), OK);
    store_close(s);
    assert_int_equal(databases_like(t->dir, "before-migration", backup, sizeof backup), 1);
}

static void a_database_of_other_scripts_is_told_at_the_start(void **state)
{
    static const struct store_migration edited[] = {
        {"001.sql", "CREATE TABLE one (a @INT@) @TABLE@;", 0},
        {"002.sql", "CREATE TABLE two (b @TEXT@ NOT NULL PRIMARY KEY) @CLUSTERED@;", 0}};
    char path[512];
    struct store_config config = config_at(*state, path, sizeof path, "old.db");
    struct store *s;

    assert_int_equal(store_open_migrations(&config, scripts, 1, &s), OK);
    store_close(s);
    for (int i = 0; i < 2; i++) { /* for writing, and only to look */
        for (size_t count = 1; count <= 2; count++) {
            assert_int_equal(store_open_migrations(&config, edited, count, &s), ERR_INVALID);
            assert_string_equal(err_last()->slug, "other_schema");
        }
        config.read_only = true;
    }
    config.read_only = false;
    assert_int_equal(store_open_migrations(&config, scripts, 2, &s), OK);
    store_close(s);
}

static void without_a_place_for_the_backup_nothing_is_migrated(void **state)
{
    char path[512];
    struct store_config config = config_at(*state, path, sizeof path, "old.db");
    struct store *s;

    assert_int_equal(store_open_migrations(&config, scripts, 1, &s), OK);
    store_close(s);
    config.backup_dir = NULL;
    assert_int_equal(store_open_migrations(&config, scripts, 2, &s), ERR_INVALID);
    assert_string_equal(err_last()->slug, "no_backup_dir");
    config.backup_dir = "/nonexistent";
    assert_int_equal(store_open_migrations(&config, scripts, 2, &s), ERR_IO);
    assert_int_equal(store_open_migrations(&config, scripts, 1, &s), OK);
    store_close(s);
}

static void a_migration_that_fails_leaves_the_old_schema(void **state)
{
    char path[512];
    struct store_config config = config_at(*state, path, sizeof path, "old.db");
    struct store *s;

    assert_int_equal(store_open_migrations(&config, scripts, 2, &s), OK);
    store_close(s);
    assert_int_equal(store_open_migrations(&config, scripts, 3, &s), ERR_CORRUPT);
    assert_int_equal(store_open_migrations(&config, scripts, 2, &s), OK);
    store_close(s);
    clock_fixed_set(&((struct store_testing *)*state)->clock, STORE_TESTING_NOW_MS + 1);
    /* Nor does a token nobody knows reach the database. */
    const struct store_migration strange[] = {scripts[0], scripts[1], scripts[3]};
    assert_int_equal(store_open_migrations(&config, strange, 3, &s), ERR_CORRUPT);
    assert_string_equal(err_last()->slug, "bad_migration");
    assert_int_equal(store_open_migrations(&config, scripts, 2, &s), OK);
    store_close(s);
}

static void a_newer_or_foreign_or_broken_database_is_refused(void **state)
{
    struct store_testing *t = *state;
    char path[512];
    struct store_config config = config_at(t, path, sizeof path, "other.db");
    struct store *s;
    int fd;

    assert_int_equal(store_open_migrations(&config, scripts, 2, &s), OK);
    store_close(s);
    assert_int_equal(store_open_migrations(&config, scripts, 1, &s), ERR_INVALID);
    assert_string_equal(err_last()->slug, "newer_schema");

    store_testing_sql(t, "PRAGMA application_id = 77");
    config.url = t->path;
    config.read_only = true;
    assert_int_equal(store_open(&config, &s), ERR_INVALID);
    assert_string_equal(err_last()->slug, "not_ours");
    store_testing_sql(t, "PRAGMA application_id = 1196706644");
    assert_int_equal(store_open(&config, &s), OK);
    store_close(s);

    config = config_at(t, path, sizeof path, "noise.db");
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    for (int i = 0; i < 300; i++)
        assert_int_equal(write(fd, "this is not a database at all.\n", 31), 31);
    close(fd);
    assert_int_equal(store_open(&config, &s), ERR_CORRUPT);
}

static void a_second_process_is_refused_until_the_first_ends(void **state)
{
    struct store_testing *t = *state;
    char path[512];
    struct store_config config = config_at(t, path, sizeof path, "test.db");
    struct store *s;
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        _exit(store_open(&config, &s) == ERR_BUSY && strcmp(err_last()->slug, "in_use") == 0 &&
                      strstr(err_last()->detail, "another process")
                  ? 0
                  : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(store_open(&config, &s), ERR_BUSY); /* nor twice in one process */
    store_testing_reopen(t);
}

static void a_read_only_store_reads_beside_a_writer_and_cannot_write(void **state)
{
    struct store_testing *t = *state;
    char path[512], text[] = "one";
    struct store_config config = config_at(t, path, sizeof path, "test.db");
    AUTO(buf_done) struct buf site;
    struct store_reader *r;
    struct store_tx *tx;
    struct store *s;

    buf_init(&site, 100);
    config.read_only = true;
    assert_int_equal(store_testing_run(t, write_site, text), OK);
    assert_int_equal(store_open(&config, &s), OK);
    assert_int_equal(store_reader_open(s, &r), OK);
    assert_int_equal(store_read_begin(r, &tx), OK);
    assert_int_equal(read_site(tx, &site), OK);
    assert_string_equal(buf_text(&site), "one");
    assert_int_equal(write_site(tx, text), ERR_CORRUPT);
    assert_string_equal(err_last()->slug, "read_only");
    store_read_end(tx);
    store_reader_close(r);
    store_close(s);

    config = config_at(t, path, sizeof path, "absent.db");
    config.read_only = true;
    assert_int_equal(store_open(&config, &s), ERR_IO);
    assert_int_not_equal(access(path, F_OK), 0);
    config.read_only = false;
    assert_int_equal(store_open_migrations(&config, scripts, 1, &s), OK);
    store_close(s);
    config.read_only = true;
    assert_int_equal(store_open_migrations(&config, scripts, 1, &s), OK); /* alone */
    store_close(s);
    assert_int_equal(store_open_migrations(&config, scripts, 2, &s), ERR_INVALID);
    assert_string_equal(err_last()->slug, "older_schema");
}

static void a_snapshot_does_not_see_later_commits(void **state)
{
    struct store_testing *t = *state;
    char one[] = "one", two[] = "two";
    AUTO(buf_done) struct buf site;
    struct store_tx *tx;

    buf_init(&site, 100);
    assert_int_equal(store_testing_run(t, write_site, one), OK);
    assert_int_equal(store_read_begin(t->reader, &tx), OK);
    assert_int_equal(store_testing_run(t, write_site, two), OK); /* before the first read */
    assert_int_equal(read_site(tx, &site), OK);
    assert_string_equal(buf_text(&site), "one");
    store_read_end(tx);
    assert_int_equal(store_testing_read(t, read_site, &site), OK);
    assert_string_equal(buf_text(&site), "two");
}

static enum err tell_now(struct store_tx *tx, void *context)
{
    *(int64_t *)context = store_now_ms(tx);
    return OK;
}

static void now_never_goes_back_between_transactions(void **state)
{
    struct store_testing *t = *state;
    int64_t first, second, third;

    clock_fixed_set(&t->clock, STORE_TESTING_NOW_MS + 500);
    assert_int_equal(store_testing_run(t, tell_now, &first), OK);
    clock_fixed_set(&t->clock, STORE_TESTING_NOW_MS);
    assert_int_equal(store_testing_read(t, tell_now, &second), OK);
    assert_int_equal(store_testing_run(t, tell_now, &third), OK);
    assert_int_equal(first, STORE_TESTING_NOW_MS + 500);
    assert_int_equal(second, first);
    assert_int_equal(third, first);
    clock_fixed_set(&t->clock, STORE_TESTING_NOW_MS + 501);
    assert_int_equal(store_testing_run(t, tell_now, &third), OK);
    assert_int_equal(third, first + 1);
}

static enum err leave_open(struct store_tx *tx, void *context)
{
    struct store_rows rows;

    TRY(store_meta_set(tx, "site", SPAN_LIT("left")));
    TRY(store_query(tx, SQL_meta_get, SQL_ARGS(sv_str("site")), &rows));
    return *(enum err *)context;
}

static enum err nest(struct store_tx *tx, void *context)
{
    struct store_rows outer, inner;

    (void)context;
    TRY(store_query(tx, SQL_meta_get, SQL_ARGS(sv_str("site")), &outer));
    return store_query(tx, SQL_meta_get, SQL_ARGS(sv_str("site")), &inner);
}

static void queries_left_open_are_ended_and_told(void **state)
{
    enum err ok = OK, denied = ERR_DENIED;
    char one[] = "one";

    assert_int_equal(store_testing_run(*state, leave_open, &ok), ERR_CORRUPT);
    assert_string_equal(err_last()->slug, "rows_left_open");
    assert_int_equal(store_testing_run(*state, leave_open, &denied), ERR_DENIED);
    assert_int_equal(store_testing_run(*state, nest, NULL), ERR_CORRUPT);
    assert_string_equal(err_last()->slug, "statement_in_use");
    assert_int_equal(store_testing_number(*state, "SELECT count(*) FROM meta"), 0);
    assert_int_equal(store_testing_run(*state, write_site, one), OK);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_fresh_database_has_this_programs_schema_and_no_backup),
        CASE(the_scripts_are_numbered_without_gaps),
        CASE(the_files_are_private),
        CASE(a_backup_is_taken_before_an_older_database_is_migrated),
        CASE(a_database_of_other_scripts_is_told_at_the_start),
        CASE(without_a_place_for_the_backup_nothing_is_migrated),
        CASE(a_migration_that_fails_leaves_the_old_schema),
        CASE(a_newer_or_foreign_or_broken_database_is_refused),
        CASE(a_second_process_is_refused_until_the_first_ends),
        CASE(a_read_only_store_reads_beside_a_writer_and_cannot_write),
        CASE(a_snapshot_does_not_see_later_commits),
        CASE(now_never_goes_back_between_transactions),
        CASE(queries_left_open_are_ended_and_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
