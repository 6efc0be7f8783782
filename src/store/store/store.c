/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store/store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store/internal.h"

enum { PATH_BYTES_MAX = 4096 };

struct store {
    struct store_config config; /* url and backup_dir are copies */
    struct store_conn *conn;    /* the writer's; NULL when read_only */
    struct store_tx tx;
    bool in_tx;
    uint64_t undone;     /* how often changes were rolled back */
    int64_t last_now_ms; /* atomic: D2 */
    /* Commits are counted: those that a snapshot may hold, and those that no loss of power undoes. Atomics. */
    uint64_t visible, durable;
    pthread_mutex_t waiting; /* waiters; durable rises under it */
    struct store_waiter *waiters;
};

struct store_reader {
    struct store_conn *conn;
    struct store_tx tx;
    bool in_tx;
};

static const struct statement statements[SQL_COUNT] = {
#define STATEMENT(name, audit, sql) {#name, AUDIT_##audit, sql},
#include "store/store/statements.def"
#undef STATEMENT
};

static const char *const audit_names[AUDIT_COUNT] = {
    "none",
#define AUDITED(table) #table,
#include "store/store/audit.def"
#undef AUDITED
};

const struct statement *store_statement(enum store_sql sql)
{
    INVARIANT((unsigned)sql < SQL_COUNT, "a statement is one of statements.def");
    return &statements[sql];
}

const char *store_audit_name(enum store_audit table)
{
    INVARIANT((unsigned)table < AUDIT_COUNT, "a table is one of audit.def");
    return audit_names[table];
}

/* ---- opening --------------------------------------------------------------------------------------------------------- */

static enum err backup_before(struct store *s, int from, int to)
{
    char path[PATH_BYTES_MAX];

    ENSURE(s->config.backup_dir, ERR_INVALID, "no_backup_dir",
           "The database must be migrated, and there is no directory for the copy taken before.");
    int n = snprintf(path, sizeof path, "%s/before-migration-%d-to-%d-%lld.db",
                     s->config.backup_dir, from, to, (long long)clock_now_ms(s->config.clock));
    ENSURE(n > 0 && (size_t)n < sizeof path, ERR_LIMIT, "path_too_long",
           "The path of the backup is too long.");
    return s->config.driver->backup(s->conn, path);
}

/* The version of the file, which the scripts up to it must have made. */
static enum err find_version(struct store *s, struct store_conn *conn,
                             const struct store_migration *migrations, int newest, int *ret_version)
{
    const struct store_driver *d = s->config.driver;

    TRY(d->version(conn, ret_version));
    ENSURE(*ret_version <= newest, ERR_INVALID, "newer_schema",
           "The database has schema version %d, this program knows %d: use a newer program.",
           *ret_version, newest);
    for (int v = 1; v <= *ret_version; v++)
        TRY(d->migrated(conn, migrations[v - 1].data, v));
    return OK;
}

static enum err bring_up(struct store *s, const struct store_migration *migrations, size_t count)
{
    const struct store_driver *d = s->config.driver;
    struct store_conn *conn = s->conn;
    int version, newest = (int)count;

    if (s->config.read_only)
        TRY(d->open(&s->config, CONN_READER, &conn));
    enum err code = find_version(s, conn, migrations, newest, &version);
    if (s->config.read_only)
        d->close(conn);
    TRY(code);
    ENSURE(version == newest || !s->config.read_only, ERR_INVALID, "older_schema",
           "The database has schema version %d, this program needs %d: let it start once for "
           "writing.",
           version, newest);
    if (version > 0 && version < newest)
        TRY(backup_before(s, version, newest));
    for (int v = version; v < newest; v++)
        TRY(d->migrate(conn, migrations[v].data, v + 1));
    return OK;
}

static enum err open_into(struct store *s, const struct store_config *config,
                          const struct store_migration *migrations, size_t count)
{
    s->config = *config;
    s->config.backup_dir = NULL;
    s->config.url = strdup(config->url);
    ENSURE(s->config.url, ERR_NOMEM, "no_memory", "No memory to open the database.");
    if (config->backup_dir) {
        s->config.backup_dir = strdup(config->backup_dir);
        ENSURE(s->config.backup_dir, ERR_NOMEM, "no_memory", "No memory to open the database.");
    }
    if (!config->read_only)
        TRY(config->driver->open(&s->config, CONN_WRITER, &s->conn));
    s->tx = (struct store_tx){.store = s, .driver = config->driver, .conn = s->conn, .write = true};
    buf_init(&s->tx.known, TX_KNOWN_MAX);
    return bring_up(s, migrations, count);
}

enum err store_open_migrations(const struct store_config *config,
                               const struct store_migration *migrations, size_t count,
                               struct store **ret_store)
{
    struct store *s = calloc(1, sizeof *s);

    ENSURE(s, ERR_NOMEM, "no_memory", "No memory to open the database.");
    pthread_mutex_init(&s->waiting, NULL);
    enum err code = open_into(s, config, migrations, count);
    if (code != OK) {
        store_close(s);
        return err_trace(code, __FILE__, __LINE__);
    }
    *ret_store = s;
    return OK;
}

enum err store_open(const struct store_config *config, struct store **ret_store)
{
    return store_open_migrations(config, store_migrations, store_migrations_count, ret_store);
}

static void tx_free(struct store_tx *tx)
{
    free(tx->notes);
    free(tx->owed.items);
    free(tx->paid.items);
    buf_done(&tx->known);
}

void store_close(struct store *s)
{
    if (!s)
        return;
    INVARIANT(!s->in_tx && !s->waiters, "a store is closed outside of transactions");
    if (s->conn)
        s->config.driver->close(s->conn);
    tx_free(&s->tx);
    pthread_mutex_destroy(&s->waiting);
    free((char *)s->config.url);
    free((char *)s->config.backup_dir);
    free(s);
}

int store_schema_version(void)
{
    return (int)store_migrations_count;
}

const struct store_config *store_config_of(const struct store *s)
{
    return &s->config;
}

/* D2: the clock, but never less than a transaction before was told. */
int64_t store_time_ms(struct store *s)
{
    int64_t now = clock_now_ms(s->config.clock);
    int64_t last = __atomic_load_n(&s->last_now_ms, __ATOMIC_ACQUIRE);

    while (now > last)
        if (__atomic_compare_exchange_n(&s->last_now_ms, &last, now, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            return now;
    return last;
}

/* ---- readers --------------------------------------------------------------------------------------------------------- */

enum err store_reader_open(struct store *s, struct store_reader **ret_reader)
{
    struct store_reader *r = calloc(1, sizeof *r);

    ENSURE(r, ERR_NOMEM, "no_memory", "No memory for a reader.");
    enum err code = s->config.driver->open(&s->config, CONN_READER, &r->conn);
    if (code != OK) {
        free(r);
        return err_trace(code, __FILE__, __LINE__);
    }
    r->tx = (struct store_tx){.store = s, .driver = s->config.driver, .conn = r->conn};
    *ret_reader = r;
    return OK;
}

void store_reader_close(struct store_reader *r)
{
    if (!r)
        return;
    INVARIANT(!r->in_tx, "a reader is closed outside of snapshots");
    r->tx.driver->close(r->conn);
    tx_free(&r->tx);
    free(r);
}

enum err store_read_early(struct store_reader *r, struct store_tx **ret_tx)
{
    INVARIANT(!r->in_tx, "a reader has one snapshot at a time");
    TRY(r->tx.driver->begin(r->conn, false));
    r->in_tx = true;
    /* Counted before it is seen (tx_commit_early), asked for after the snapshot is taken: never too low. */
    r->tx.seen = __atomic_load_n(&r->tx.store->visible, __ATOMIC_SEQ_CST);
    r->tx.now_ms = store_time_ms(r->tx.store);
    *ret_tx = &r->tx;
    return OK;
}

struct blocked {
    struct store_waiter waiter; /* first */
    pthread_mutex_t mutex;
    pthread_cond_t change;
    bool durable;
};

static void unblock(struct store_waiter *w)
{
    struct blocked *b = (struct blocked *)(void *)w;

    pthread_mutex_lock(&b->mutex);
    b->durable = true;
    pthread_cond_signal(&b->change);
    pthread_mutex_unlock(&b->mutex);
}

static void wait_durable(struct store *s, uint64_t commit)
{
    struct blocked b = {.waiter = {.commit = commit, .durable = unblock},
                        .mutex = PTHREAD_MUTEX_INITIALIZER,
                        .change = PTHREAD_COND_INITIALIZER};

    if (store_is_durable(s, commit) || !store_await(s, &b.waiter))
        return;
    pthread_mutex_lock(&b.mutex);
    while (!b.durable)
        pthread_cond_wait(&b.change, &b.mutex);
    pthread_mutex_unlock(&b.mutex);
    pthread_mutex_destroy(&b.mutex);
    pthread_cond_destroy(&b.change);
}

enum err store_read_begin(struct store_reader *r, struct store_tx **ret_tx)
{
    TRY(store_read_early(r, ret_tx));
    wait_durable(r->tx.store, r->tx.seen);
    return OK;
}

uint64_t store_seen(const struct store_tx *tx)
{
    return tx->seen;
}

bool store_is_durable(const struct store *s, uint64_t commit)
{
    return __atomic_load_n(&s->durable, __ATOMIC_SEQ_CST) >= commit;
}

bool store_sees_durable(const struct store_tx *tx)
{
    return store_is_durable(tx->store, tx->seen);
}

bool store_await(struct store *s, struct store_waiter *w)
{
    pthread_mutex_lock(&s->waiting);
    bool waits = !store_is_durable(s, w->commit);
    if (waits) {
        w->next = s->waiters;
        s->waiters = w;
    }
    pthread_mutex_unlock(&s->waiting);
    return waits;
}

static size_t end_cursors(struct store_tx *tx)
{
    size_t ended = 0;

    for (size_t i = 0; i < TX_CURSORS_MAX; i++) {
        if (!tx->cursors[i])
            continue;
        tx->driver->end(tx->cursors[i]);
        tx->cursors[i] = NULL;
        ended++;
    }
    return ended;
}

void store_read_end(struct store_tx *tx)
{
    if (!tx)
        return;
    struct store_reader *r =
        (struct store_reader *)(void *)((char *)tx - offsetof(struct store_reader, tx));
    INVARIANT(!tx->write && r->in_tx, "a snapshot ends once");
    (void)end_cursors(tx);
    tx->driver->rollback(tx->conn);
    r->in_tx = false;
}

/* ---- write transactions ---------------------------------------------------------------------------------------------- */

enum err tx_begin(struct store *s, struct store_tx **ret_tx)
{
    INVARIANT(s->conn && !s->in_tx, "one write transaction at a time");
    TRY(s->config.driver->begin(s->conn, true));
    s->in_tx = true;
    s->tx.now_ms = store_time_ms(s);
    s->tx.note_count = 0;
    *ret_tx = &s->tx;
    return OK;
}

static int mark_compare(const void *a, const void *b)
{
    const struct audit_mark *x = a, *y = b;
    if (x->table != y->table)
        return x->table < y->table ? -1 : 1;
    return memcmp(x->row_id, y->row_id, ID_BYTES);
}

static void marks_sort(struct audit_marks *m)
{
    if (m->count > 1)
        qsort(m->items, m->count, sizeof *m->items, mark_compare);
}

/* D1: every mark of owed is among paid. */
static enum err audit_check(struct store_tx *tx)
{
    size_t at = 0;

    if (tx->owed.count == 0)
        return OK;
    marks_sort(&tx->owed);
    marks_sort(&tx->paid);
    for (size_t i = 0; i < tx->owed.count; i++) {
        const struct audit_mark *owed = &tx->owed.items[i];
        while (at < tx->paid.count && mark_compare(&tx->paid.items[at], owed) < 0)
            at++;
        ENSURE(at < tx->paid.count && mark_compare(&tx->paid.items[at], owed) == 0, ERR_CORRUPT,
               "unaudited_change", "A row of %s changed without its ledger entry.",
               store_audit_name(owed->table));
    }
    return OK;
}

static enum err finish_command(struct store_tx *tx)
{
    size_t left_open = end_cursors(tx);

    if (tx->broken.code != OK)
        return err_restore(&tx->broken);
    ENSURE(left_open == 0, ERR_CORRUPT, "rows_left_open", "A command left %zu queries open.",
           left_open);
    return audit_check(tx);
}

/* Run it, end what it left open, check it. On failure the reason is in err_last(), and its notes are gone. */
static enum err run_command(struct store_tx *tx,
                            enum err (*run)(struct store_tx *tx, void *context), void *context,
                            size_t *ret_first_note)
{
    *ret_first_note = tx->note_count;
    tx->owed.count = tx->paid.count = 0;
    buf_reset(&tx->known);
    tx->broken.code = OK;
    enum err code = run(tx, context);
    if (code == OK)
        code = finish_command(tx);
    if (code == OK)
        return OK;
    if (err_last()->code != code)
        (void)err_raise(code, NULL, __FILE__, __LINE__, "failed", "The command failed.");
    (void)end_cursors(tx);
    tx->note_count = *ret_first_note;
    return code;
}

enum err tx_command(struct store_tx *tx, enum err (*run)(struct store_tx *tx, void *context),
                    void *context, size_t *ret_first_note, bool *ret_lost)
{
    struct err_info why;

    *ret_lost = true;
    *ret_first_note = tx->note_count;
    TRY(tx->driver->savepoint(tx->conn));
    enum err code = run_command(tx, run, context, ret_first_note);
    if (code == OK) {
        TRY(tx->driver->release(tx->conn));
        *ret_lost = false;
        return OK;
    }
    err_save(&why);
    tx->store->undone++;
    TRY(tx->driver->rollback_to(tx->conn));
    *ret_lost = false;
    return err_restore(&why);
}

enum err tx_attempt(struct store_tx *tx, enum err (*run)(struct store_tx *tx, void *context),
                    void *context, size_t *ret_first_note, bool *ret_lost)
{
    uint64_t before = tx->driver->changes(tx->conn);
    enum err code = run_command(tx, run, context, ret_first_note);

    *ret_lost = code != OK && tx->driver->changes(tx->conn) != before;
    return code;
}

void tx_rollback(struct store_tx *tx)
{
    INVARIANT(tx->store->in_tx, "a transaction ends once");
    tx->driver->rollback(tx->conn);
    tx->store->in_tx = false;
    tx->store->undone++;
    tx->note_count = 0;
}

/* Everything that was committed is. Waiters never wait for more than that: one commit at a time. */
static void set_durable(struct store *s)
{
    struct store_waiter *first, *next;

    pthread_mutex_lock(&s->waiting);
    __atomic_store_n(&s->durable, __atomic_load_n(&s->visible, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
    first = s->waiters;
    s->waiters = NULL;
    pthread_mutex_unlock(&s->waiting);
    for (; first; first = next) {
        next = first->next;
        first->durable(first);
    }
}

void tx_sync(struct store *s)
{
    s->config.driver->sync(s->conn);
    set_durable(s);
}

static enum err commit_by(struct store_tx *tx, enum err (*commit)(struct store_conn *c))
{
    INVARIANT(tx->store->in_tx, "a transaction ends once");
    enum err code = commit(tx->conn);
    if (code != OK) {
        struct err_info why;
        err_save(&why);
        tx_rollback(tx);
        return err_restore(&why);
    }
    tx->store->in_tx = false;
    return OK;
}

enum err tx_commit(struct store_tx *tx)
{
    return commit_by(tx, tx->driver->commit);
}

enum err tx_commit_early(struct store_tx *tx)
{
    struct store *s = tx->store;

    INVARIANT(store_is_durable(s, s->visible), "one commit at a time is not durable yet");
    __atomic_add_fetch(&s->visible, 1, __ATOMIC_SEQ_CST);
    enum err code = commit_by(tx, tx->driver->commit_early);
    if (code != OK)
        set_durable(s); /* there is nothing to be synced */
    return code;
}

uint64_t tx_log_bytes(const struct store *s)
{
    return s->config.driver->log_bytes(s->conn);
}

enum err tx_restart_log(struct store *s)
{
    INVARIANT(!s->in_tx, "the log restarts between transactions");
    return s->config.driver->checkpoint(s->conn, true);
}

/* ---- inside a transaction -------------------------------------------------------------------------------------------- */

static void tx_break(struct store_tx *tx)
{
    if (tx->broken.code == OK)
        err_save(&tx->broken);
}

/* Room for one more of size bytes each; false at the maximum or without memory, and the command is broken. */
static bool list_room(struct store_tx *tx, void **items, size_t count, size_t *cap, size_t size,
                      size_t max)
{
    if (count < *cap)
        return true;
    size_t more = *cap ? *cap * 2 : 64;
    void *grown = count < max ? reallocarray(*items, more, size) : NULL;
    if (!grown) {
        (void)err_raise(count < max ? ERR_NOMEM : ERR_LIMIT, NULL, __FILE__, __LINE__,
                        count < max ? "no_memory" : "command_too_large",
                        "A command makes more changes than one transaction may hold.");
        tx_break(tx);
        return false;
    }
    *items = grown;
    *cap = more;
    return true;
}

static void marks_add(struct store_tx *tx, struct audit_marks *m, enum store_audit table,
                      const uint8_t row_id[ID_BYTES])
{
    void *items = m->items;

    if (!list_room(tx, &items, m->count, &m->cap, sizeof *m->items, TX_AUDITED_MAX))
        return;
    m->items = items;
    struct audit_mark *mark = &m->items[m->count++];
    mark->table = table;
    mark->known_at = mark->known_len = 0;
    memcpy(mark->row_id, row_id, ID_BYTES);
}

static enum err run_statement(struct store_tx *tx, enum store_sql sql, const struct statement *st,
                              const uint8_t *row_id, const struct store_value *args, size_t count,
                              int64_t *ret_changed)
{
    int64_t changed = 0;

    ENSURE(tx->write, ERR_CORRUPT, "read_only", "Statement %s would change a snapshot.", st->name);
    ENSURE((st->audit == AUDIT_none) == (row_id == NULL), ERR_CORRUPT, "unaudited_change",
           "Statement %s is for %s rows.", st->name, row_id ? "unaudited" : "audited");
    TRY(tx->driver->exec(tx->conn, sql, st->sql, args, count, &changed));
    if (row_id && changed > 0)
        marks_add(tx, &tx->owed, st->audit, row_id);
    if (row_id && changed > 1) {
        (void)err_raise(ERR_CORRUPT, NULL, __FILE__, __LINE__, "unaudited_change",
                        "Statement %s changed %lld rows of %s, of which one is named.", st->name,
                        (long long)changed, store_audit_name(st->audit));
        tx_break(tx);
        return ERR_CORRUPT;
    }
    if (ret_changed)
        *ret_changed = changed;
    return OK;
}

enum err store_exec(struct store_tx *tx, enum store_sql sql, const struct store_value *args,
                    size_t count, int64_t *ret_changed)
{
    TRY(run_statement(tx, sql, store_statement(sql), NULL, args, count, ret_changed));
    return OK;
}

enum err store_exec_audited(struct store_tx *tx, enum store_sql sql, const uint8_t row_id[ID_BYTES],
                            const struct store_value *args, size_t count, int64_t *ret_changed)
{
    INVARIANT(row_id, "an audited row has an id");
    TRY(run_statement(tx, sql, store_statement(sql), row_id, args, count, ret_changed));
    return OK;
}

enum err tx_exec_text(struct store_tx *tx, const struct statement *statement,
                      const uint8_t row_id[ID_BYTES], const struct store_value *args, size_t count,
                      int64_t *ret_changed)
{
    TRY(run_statement(tx, SQL_COUNT, statement, row_id, args, count, ret_changed));
    return OK;
}

void store_audit_paid(struct store_tx *tx, enum store_audit table, const uint8_t row_id[ID_BYTES])
{
    INVARIANT(tx->write && table != AUDIT_none, "an entry names a row of an audited table");
    marks_add(tx, &tx->paid, table, row_id);
}

enum err store_query(struct store_tx *tx, enum store_sql sql, const struct store_value *args,
                     size_t count, struct store_rows *ret_rows)
{
    const struct statement *st = store_statement(sql);
    size_t slot = 0;
    void *cursor;

    *ret_rows = (struct store_rows){.tx = tx, .sql = sql};
    ENSURE(st->audit == AUDIT_none, ERR_CORRUPT, "unaudited_change",
           "Statement %s changes audited rows and is no query.", st->name);
    while (slot < TX_CURSORS_MAX && tx->cursors[slot])
        slot++;
    ENSURE(slot < TX_CURSORS_MAX, ERR_LIMIT, "too_many_queries", "Too many open queries.");
    TRY(tx->driver->query(tx->conn, sql, st->sql, args, count, &cursor));
    ret_rows->cursor = tx->cursors[slot] = cursor;
    return OK;
}

bool store_next(struct store_rows *rows)
{
    bool row = false;

    if (!rows->cursor || rows->error != OK)
        return false;
    rows->error = rows->tx->driver->next(rows->cursor, &row);
    return rows->error == OK && row;
}

void store_rows_done(struct store_rows *rows)
{
    if (!rows->cursor)
        return;
    for (size_t i = 0; i < TX_CURSORS_MAX; i++) {
        if (rows->tx->cursors[i] != rows->cursor)
            continue;
        rows->tx->cursors[i] = NULL;
        rows->tx->driver->end(rows->cursor);
        break;
    }
    rows->cursor = NULL;
}

enum err store_rows_end(struct store_rows *rows)
{
    store_rows_done(rows);
    if (rows->error != OK)
        return err_trace(rows->error, __FILE__, __LINE__);
    return OK;
}

bool store_is_null(struct store_rows *rows, int column)
{
    return rows->tx->driver->is_null(rows->cursor, column);
}

int64_t store_int(struct store_rows *rows, int column)
{
    return rows->tx->driver->get_int(rows->cursor, column);
}

struct span store_text(struct store_rows *rows, int column)
{
    return rows->tx->driver->get_bytes(rows->cursor, column);
}

struct span store_blob(struct store_rows *rows, int column)
{
    return rows->tx->driver->get_bytes(rows->cursor, column);
}

void store_id(struct store_rows *rows, int column, uint8_t ret_id[ID_BYTES])
{
    struct span s = store_blob(rows, column);

    if (store_is_null(rows, column)) {
        memset(ret_id, 0, ID_BYTES);
        return;
    }
    INVARIANT(s.len == ID_BYTES, "a stored id has 16 bytes");
    memcpy(ret_id, s.data, ID_BYTES);
}

enum err store_query_int(struct store_tx *tx, enum store_sql sql, const struct store_value *args,
                         size_t count, int64_t *ret_value)
{
    struct store_rows rows;
    int64_t value = 0;

    TRY(store_query(tx, sql, args, count, &rows));
    bool found = store_next(&rows);
    if (found)
        value = store_int(&rows, 0);
    TRY(store_rows_end(&rows));
    ENSURE(found, ERR_NOT_FOUND, "no_row", "There is no such row.");
    *ret_value = value;
    return OK;
}

void store_note(struct store_tx *tx, struct store_note note)
{
    void *items = tx->notes;

    INVARIANT(tx->write, "only a command leaves notes");
    if (!list_room(tx, &items, tx->note_count, &tx->note_cap, sizeof *tx->notes, TX_NOTES_MAX))
        return;
    tx->notes = items;
    tx->notes[tx->note_count++] = note;
}

int64_t store_now_ms(const struct store_tx *tx)
{
    return tx->now_ms;
}

bool store_writes(const struct store_tx *tx)
{
    return tx->write;
}

uint64_t store_undone(const struct store_tx *tx)
{
    return tx->store->undone;
}

const struct rng *store_rng(const struct store_tx *tx)
{
    return tx->store->config.rng;
}

const struct clock *store_clock(const struct store_tx *tx)
{
    return tx->store->config.clock;
}
