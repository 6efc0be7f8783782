/* SPDX-License-Identifier: Apache-2.0 */
/* Every SQL text of the product: its audit tag fits its words, it is plain SQL, and it prepares. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <ctype.h>
#include <string.h>

#include "store/store/driver.h"
#include "store/store/internal.h"
#include "store/store/testing.h"

enum { WORD_MAX = 64 };

/* The next word ([A-Za-z0-9_]) from *at, lower case; false at the end. Quoted text is passed over. */
static bool next_word(const char **at, char word[WORD_MAX])
{
    size_t n = 0;
    bool quoted = false;

    for (; **at && (quoted || !(isalnum((unsigned char)**at) || **at == '_')); (*at)++)
        if (**at == '\'')
            quoted = !quoted;
    for (; isalnum((unsigned char)**at) || **at == '_'; (*at)++)
        if (n + 1 < WORD_MAX)
            word[n++] = (char)tolower((unsigned char)**at);
    word[n] = '\0';
    return n > 0;
}

static enum store_audit audited_table(const char *name)
{
    for (int table = 1; table < AUDIT_COUNT; table++)
        if (strcmp(name, store_audit_name((enum store_audit)table)) == 0)
            return (enum store_audit)table;
    return AUDIT_none;
}

/* The audited table that a text writes, wherever the words stand in it (also in a WITH clause or an upsert). */
static enum store_audit written_table(const char *sql, bool *ret_writes)
{
    char word[WORD_MAX], before[WORD_MAX] = "";
    enum store_audit found = AUDIT_none;

    *ret_writes = false;
    for (const char *at = sql; next_word(&at, word);) {
        bool into = strcmp(before, "insert") == 0 && strcmp(word, "into") == 0;
        bool from = strcmp(before, "delete") == 0 && strcmp(word, "from") == 0;
        bool update =
            strcmp(word, "update") == 0 && strcmp(before, "do") != 0 && strcmp(before, "for") != 0;
        memcpy(before, word, WORD_MAX);
        if (!into && !from && !update)
            continue;
        *ret_writes = true;
        if (next_word(&at, word) && audited_table(word) != AUDIT_none)
            found = audited_table(word);
        memcpy(before, word, WORD_MAX);
    }
    return found;
}

static bool is_exempt(const char *name)
{
    static const char *const names[] = {
#define EXEMPT(statement, why) #statement,
#include "store/store/audit_exempt.def"
#undef EXEMPT
    };

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void every_write_of_an_audited_table_carries_its_tag_and_nothing_else_does(void **state)
{
    (void)state;
    for (int i = 0; i < SQL_COUNT; i++) {
        const struct statement *st = store_statement((enum store_sql)i);
        bool writes;
        enum store_audit table = written_table(st->sql, &writes);
        if (is_exempt(st->name) ? table == AUDIT_none || st->audit != AUDIT_none
                                : table != st->audit)
            fail_msg("%s writes %s, its tag is %s", st->name, store_audit_name(table),
                     store_audit_name(st->audit));
    }
}

/* Columns of audited tables that carry no fact: when to try again, how often it failed, which code is spent. */
static bool carries_no_fact(const char *column)
{
    static const char *const columns[] = {"tries", "next_ms", "failures", "locked_until_ms",
                                          "totp_step"};

    for (size_t i = 0; i < COUNT_OF(columns); i++)
        if (strcmp(column, columns[i]) == 0)
            return true;
    return false;
}

/* UPDATE ... SET column = ..., column = ... WHERE: every column assigned carries no fact. */
static bool sets_no_fact(const char *sql)
{
    const char *set = strstr(sql, " SET "), *where = strstr(sql, " WHERE ");
    char word[WORD_MAX];

    if (strncmp(sql, "UPDATE ", 7) != 0 || !set || !where || strpbrk(sql, "()'"))
        return false;
    for (const char *at = set + 5; at && at < where;) {
        if (!next_word(&at, word) || !carries_no_fact(word))
            return false;
        at = strchr(at, ',');
        at = at ? at + 1 : NULL;
    }
    return true;
}

static void an_exempt_statement_sets_only_what_carries_no_fact(void **state)
{
    (void)state;
    for (int i = 0; i < SQL_COUNT; i++) {
        const struct statement *st = store_statement((enum store_sql)i);
        if (is_exempt(st->name) && !sets_no_fact(st->sql))
            fail_msg("%s is exempt from the audit and sets more than it may", st->name);
    }
    assert_true(sets_no_fact("UPDATE payment SET tries = tries + 1, next_ms = ?2 WHERE id = ?1"));
    assert_false(sets_no_fact("UPDATE payment SET tries = 1, state = ?2 WHERE id = ?1"));
    assert_false(sets_no_fact("UPDATE payment SET state = ?2, tries = 1 WHERE id = ?1"));
    assert_false(sets_no_fact("UPDATE payment SET tries = 1"));
    assert_false(sets_no_fact("DELETE FROM payment WHERE id = ?1"));
}

/* What a command read of an order is asked for again by its version alone, so no change may leave it as it is. */
static void every_change_of_an_order_counts_its_version(void **state)
{
    size_t updates = 0;

    (void)state;
    for (int i = 0; i < SQL_COUNT; i++) {
        const struct statement *st = store_statement((enum store_sql)i);
        if (st->audit != AUDIT_sale_order || strncmp(st->sql, "UPDATE ", 7) != 0)
            continue;
        updates++;
        if (!strstr(st->sql, "version = version + 1"))
            fail_msg("%s changes an order and not its version", st->name);
    }
    assert_true(updates > 0);
}

static void the_reader_of_statements_sees_writes_wherever_they_stand(void **state)
{
    bool writes;

    (void)state;
    assert_int_equal(written_table("SELECT * FROM ticket", &writes), AUDIT_none);
    assert_false(writes);
    assert_int_equal(written_table("SELECT 'DELETE FROM ticket'", &writes), AUDIT_none);
    assert_false(writes);
    assert_int_equal(written_table("insert  into ticket(id) values (?1)", &writes), AUDIT_ticket);
    assert_int_equal(written_table("UPDATE\nticket SET a = 1", &writes), AUDIT_ticket);
    assert_int_equal(written_table("WITH x AS (SELECT 1) DELETE FROM ticket", &writes),
                     AUDIT_ticket);
    assert_int_equal(
        written_table("INSERT INTO meta (name) VALUES (?1) ON CONFLICT (name) DO UPDATE"
                      " SET value = 1",
                      &writes),
        AUDIT_none);
    assert_true(writes);
}

static void no_statement_needs_what_only_one_database_has(void **state)
{
    static const char *const banned[] = {"strftime",
                                         "datetime",
                                         "julianday",
                                         "unixepoch",
                                         "randomblob",
                                         "random",
                                         "changes",
                                         "ifnull",
                                         "typeof",
                                         "glob",
                                         "group_concat",
                                         "rowid",
                                         "total",
                                         "printf",
                                         "iif",
                                         "last_insert_rowid",
                                         "hex",
                                         "zeroblob",
                                         "pragma",
                                         "attach",
                                         "indexed",
                                         "sqlite_schema",
                                         "sqlite_master",
                                         "replace",
                                         "autoincrement",
                                         "now",
                                         "current_timestamp"};
    char word[WORD_MAX], before[WORD_MAX];

    (void)state;
    for (int i = 0; i < SQL_COUNT; i++) {
        const struct statement *st = store_statement((enum store_sql)i);
        before[0] = '\0';
        for (const char *at = st->sql; next_word(&at, word); memcpy(before, word, WORD_MAX)) {
            for (size_t b = 0; b < COUNT_OF(banned); b++)
                if (strcmp(word, banned[b]) == 0)
                    fail_msg("%s uses %s", st->name, word);
            if (strcmp(before, "insert") == 0 && strcmp(word, "or") == 0)
                fail_msg("%s uses INSERT OR", st->name);
        }
        if (strpbrk(st->sql, "\"`;[]") || strstr(st->sql, "--"))
            fail_msg("%s holds a character that statements do without", st->name);
    }
}

/* Parameters are ?1 to ?n, each used: a driver for $1 needs that. */
static size_t parameter_count(const struct statement *st)
{
    size_t highest = 0;
    bool used[100] = {false};

    for (const char *at = st->sql; (at = strchr(at, '?')) != NULL;) {
        size_t n = 0;
        for (at++; isdigit((unsigned char)*at); at++)
            n = n * 10 + (size_t)(*at - '0');
        if (n == 0 || n >= COUNT_OF(used))
            fail_msg("%s: a parameter without a number", st->name);
        used[n] = true;
        if (n > highest)
            highest = n;
    }
    for (size_t n = 1; n <= highest; n++)
        if (!used[n])
            fail_msg("%s: parameter ?%zu is not used", st->name, n);
    return highest;
}

static enum err prepare_all(struct store_tx *tx, void *context)
{
    size_t *prepared = context;

    for (int i = 0; i < SQL_COUNT; i++) {
        const struct statement *st = store_statement((enum store_sql)i);
        struct store_value args[100] = {{0}};
        struct statement explain = {st->name, AUDIT_none, NULL};
        AUTO(buf_done) struct buf sql;

        buf_init(&sql, 65536);
        buf_printf(&sql, "EXPLAIN %s", st->sql);
        explain.sql = buf_text(&sql);
        if (tx_exec_text(tx, &explain, NULL, args, parameter_count(st), NULL) != OK)
            fail_msg("%s does not prepare: %s", st->name, err_last()->detail);
        (*prepared)++;
    }
    return OK;
}

static void every_statement_prepares_against_the_migrated_schema(void **state)
{
    struct store_testing t;
    size_t prepared = 0;

    (void)state;
    store_testing_open(&t);
    assert_int_equal(store_testing_run(&t, prepare_all, &prepared), OK);
    assert_int_equal(prepared, SQL_COUNT);
    store_testing_close(&t);
}

static void tickets_are_found_by_place_and_never_by_looking_at_a_whole_event(void **state)
{
    static const enum store_sql looks[] = {SQL_ticket_by_order, SQL_ticket_by_account,
                                           SQL_check_order_tickets, SQL_check_ticket_line,
                                           SQL_check_ticket_place};
    struct store_testing t;

    (void)state;
    store_testing_open(&t);
    for (size_t i = 0; i < COUNT_OF(looks); i++) {
        AUTO(buf_done) struct buf plan;
        buf_init(&plan, 4096);
        store_testing_plan(&t, store_statement(looks[i])->sql, &plan);
        if (!strstr(buf_text(&plan), "sqlite_autoindex_ticket_2 (event_no=? AND place_no=?"))
            fail_msg("%s: %s", store_statement(looks[i])->name, buf_text(&plan));
    }
    store_testing_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_write_of_an_audited_table_carries_its_tag_and_nothing_else_does),
        cmocka_unit_test(an_exempt_statement_sets_only_what_carries_no_fact),
        cmocka_unit_test(every_change_of_an_order_counts_its_version),
        cmocka_unit_test(the_reader_of_statements_sees_writes_wherever_they_stand),
        cmocka_unit_test(no_statement_needs_what_only_one_database_has),
        cmocka_unit_test(every_statement_prepares_against_the_migrated_schema),
        cmocka_unit_test(tickets_are_found_by_place_and_never_by_looking_at_a_whole_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
