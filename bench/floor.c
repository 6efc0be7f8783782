/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor - what this machine can do without us: the same rows in a bare SQLite loop, a group of commands a commit, and the two
 * operations that bound the rest: fsync and the signature check. Nothing of the product but Ed25519 is used here.
 */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bare.h"
#include "command.h"
#include "floors.h"
#include "ground/crypto/crypto.h"

enum { BATCH = 64, PLACES = 200000, ENTRY_BYTES = 300, HTTP_CONNECTIONS = 64 };

enum statement {
    HOLD_PLACE,
    HOLD_INSERT,
    ORDER_PLACE,
    ORDER_HOLD,
    ORDER_INSERT,
    ORDER_LINE,
    PAYMENT_INSERT,
    ENTRY_INSERT,
    PAYMENT_CAPTURE,
    ORDER_PAID,
    POSTING_INSERT,
    SELL_PLACE,
    TICKET_INSERT,
    STATEMENTS
};

static const char *const sql[STATEMENTS] = {
    [HOLD_PLACE] = "UPDATE place SET state=1, hold_id=?1, until_ms=?3 WHERE event_no=1 AND "
                   "place_no=?2 AND state=0",
    [HOLD_INSERT] = "INSERT INTO hold VALUES (?1,1,1,1,'live',zeroblob(32),zeroblob(8),?3,?3,?3)",
    [ORDER_PLACE] = "UPDATE place SET state=2, hold_id=NULL, until_ms=0, order_id=?1 WHERE "
                    "event_no=1 AND place_no=?2 AND state=1",
    [ORDER_HOLD] = "UPDATE hold SET status='ordered' WHERE id=?1 AND status='live'",
    [ORDER_INSERT] = "INSERT INTO sale_order VALUES "
                     "(?1,1,1,1,?1,'awaiting_payment',8500,'EUR',?3,?3,NULL,NULL,1)",
    [ORDER_LINE] = "INSERT INTO order_line VALUES (?1,?2,0,4000,250)",
    [PAYMENT_INSERT] =
        "INSERT INTO payment VALUES (?1,?1,1,1,'open',NULL,NULL,8500,'EUR',0,0,0,?3,?3)",
    [ENTRY_INSERT] = "INSERT INTO entry VALUES (?2,?1,20,1,1,?3,?4,zeroblob(32))",
    [PAYMENT_CAPTURE] = "UPDATE payment SET state='captured', session_ref=hex(?1), "
                        "intent_ref='pi'||hex(?1), captured_minor=8500 WHERE id=?1",
    [ORDER_PAID] = "UPDATE sale_order SET status='paid', version=version+1 WHERE id=?1",
    [POSTING_INSERT] = "INSERT INTO posting VALUES (?1,?2,?1,'sales',1,'EUR',?3)",
    [SELL_PLACE] = "UPDATE place SET state=3, order_id=NULL, ticket_id=?1, generation=1 WHERE "
                   "event_no=1 AND place_no=?2 AND state=2",
    [TICKET_INSERT] =
        "INSERT INTO ticket VALUES (?1,1,1,?2,1,0,?1,1,0,4000,250,'EUR','valid',1,?1,?3)",
};

static const char schema[] =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=16000;"
    "CREATE TABLE place (event_no INT, place_no INT, state INT, generation INT, until_ms INT, "
    "hold_id BLOB, order_id BLOB, ticket_id BLOB,"
    " PRIMARY KEY (event_no, place_no)) WITHOUT ROWID;"
    "CREATE TABLE hold (id BLOB PRIMARY KEY, e INT, o INT, a INT, status TEXT, f BLOB, places "
    "BLOB, c INT, x INT, l INT) WITHOUT ROWID;"
    "CREATE INDEX hold_live ON hold (a, e) WHERE status='live';"
    "CREATE TABLE sale_order (id BLOB PRIMARY KEY, o INT, e INT, a INT, hold_id BLOB UNIQUE, "
    "status TEXT, amount INT, currency TEXT, c INT,"
    " p INT, x INT, n INT, version INT) WITHOUT ROWID;"
    "CREATE INDEX order_account ON sale_order (a, c); CREATE INDEX order_event ON sale_order (e, "
    "c);"
    "CREATE TABLE order_line (order_id BLOB, place_no INT, c INT, p INT, f INT, PRIMARY KEY "
    "(order_id, place_no)) WITHOUT ROWID;"
    "CREATE TABLE payment (id BLOB PRIMARY KEY, order_id BLOB, o INT, attempt INT, state TEXT, "
    "session_ref TEXT, intent_ref TEXT UNIQUE,"
    " amount INT, currency TEXT, captured_minor INT, refunded INT, tries INT, next_ms "
    "INT, c INT) WITHOUT ROWID;"
    "CREATE INDEX payment_due ON payment (next_ms) WHERE state='open';"
    "CREATE TABLE posting (b BLOB, line INT, order_id BLOB, acc TEXT, amount INT, currency TEXT, "
    "at INT, PRIMARY KEY (b, line)) WITHOUT ROWID;"
    "CREATE TABLE ticket (id BLOB PRIMARY KEY, o INT, e INT, place_no INT, g INT, past INT, "
    "order_id BLOB, a INT, c INT, p INT, f INT,"
    " currency TEXT, status TEXT, s INT, last BLOB, at INT, UNIQUE (e, place_no, "
    "past)) WITHOUT ROWID;"
    "CREATE TABLE entry (entry_no INTEGER PRIMARY KEY, id BLOB UNIQUE, kind INT, o INT, e INT, at "
    "INT, sealed BLOB, c BLOB);"
    "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i < 199999) INSERT INTO "
    "place SELECT 1,i,0,0,0,NULL,NULL,NULL FROM n;";

struct bare {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    int64_t entry_no;
    uint8_t entry[ENTRY_BYTES];
};

static void check(struct bare *b, int rc)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE)
        die("floor: %s", sqlite3_errmsg(b->db));
}

static void put(struct bare *b, enum statement s, const uint8_t id[ID_BYTES], int64_t number)
{
    sqlite3_stmt *q = b->statements[s];

    check(b, sqlite3_bind_blob(q, 1, id, ID_BYTES, SQLITE_STATIC));
    if (sqlite3_bind_parameter_count(q) >= 2)
        check(b, sqlite3_bind_int64(q, 2, number));
    if (sqlite3_bind_parameter_count(q) >= 3)
        check(b, sqlite3_bind_int64(q, 3, 1790000000000 + number));
    if (sqlite3_bind_parameter_count(q) >= 4)
        check(b, sqlite3_bind_blob(q, 4, b->entry, ENTRY_BYTES, SQLITE_STATIC));
    check(b, sqlite3_step(q));
    check(b, sqlite3_reset(q));
}

static void entry(struct bare *b)
{
    uint8_t id[ID_BYTES];

    id_make(clock_system(), rng_system(), id);
    put(b, ENTRY_INSERT, id, b->entry_no++);
}

static void do_hold(struct bare *b, const uint8_t *id, int64_t place, unsigned per_order)
{
    for (unsigned i = 0; i < per_order; i++)
        put(b, HOLD_PLACE, id, place + i);
    put(b, HOLD_INSERT, id, place);
}

static void do_order(struct bare *b, const uint8_t *id, int64_t place, unsigned per_order)
{
    for (unsigned i = 0; i < per_order; i++) {
        put(b, ORDER_PLACE, id, place + i);
        put(b, ORDER_LINE, id, place + i);
    }
    put(b, ORDER_HOLD, id, 0);
    put(b, ORDER_INSERT, id, place);
    put(b, PAYMENT_INSERT, id, place);
    entry(b);
}

static void do_settle(struct bare *b, const uint8_t *id, int64_t place, unsigned per_order)
{
    uint8_t ticket[ID_BYTES];

    put(b, PAYMENT_CAPTURE, id, place);
    put(b, ORDER_PAID, id, place);
    for (int64_t i = 0; i < 3; i++)
        put(b, POSTING_INSERT, id, i);
    entry(b);
    entry(b);
    for (unsigned i = 0; i < per_order; i++) {
        id_make(clock_system(), rng_system(), ticket);
        put(b, SELL_PLACE, ticket, place + i);
        put(b, TICKET_INSERT, ticket, place + i);
        entry(b);
    }
}

static void run(struct bare *b, const char *text)
{
    check(b, sqlite3_exec(b->db, text, NULL, NULL, NULL));
}

/* Each step of a sale in a commit of its own, BATCH sales side by side: the writer's best case. */
static double bare_loop(struct bare *b, unsigned per_order, double seconds)
{
    void (*const steps[])(struct bare *, const uint8_t *, int64_t, unsigned) = {do_hold, do_order,
                                                                                do_settle};
    uint8_t ids[BATCH][ID_BYTES];
    int64_t place = 0, sales = 0, began = now_us();

    while ((double)(now_us() - began) < seconds * 1e6 &&
           place + BATCH * (int64_t)per_order <= PLACES) {
        for (size_t i = 0; i < BATCH; i++)
            id_make(clock_system(), rng_system(), ids[i]);
        for (size_t s = 0; s < COUNT_OF(steps); s++) {
            run(b, "BEGIN IMMEDIATE");
            for (size_t i = 0; i < BATCH; i++)
                steps[s](b, ids[i], place + (int64_t)(i * per_order), per_order);
            run(b, "COMMIT");
        }
        place += BATCH * (int64_t)per_order;
        sales += BATCH;
    }
    return (double)sales * 1e6 / (double)(now_us() - began);
}

static void remove_base(const char *path)
{
    static const char *const tails[] = {"", "-wal", "-shm"};
    char name[BENCH_PATH_MAX + 8];

    for (size_t i = 0; i < COUNT_OF(tails); i++) {
        (void)snprintf(name, sizeof name, "%s%s", path, tails[i]);
        (void)unlink(name);
    }
}

double floor_sales(const char *dir, unsigned per_order, double seconds)
{
    struct bare b = {0};
    char path[BENCH_PATH_MAX];

    if (snprintf(path, sizeof path, "%s/floor.sqlite", dir) >= BENCH_PATH_MAX)
        die("path too long");
    remove_base(path);
    if (sqlite3_open(path, &b.db) != SQLITE_OK)
        die("floor: cannot make %s", path);
    rng_fill(rng_system(), b.entry, sizeof b.entry);
    run(&b, schema);
    for (size_t i = 0; i < STATEMENTS; i++)
        check(&b, sqlite3_prepare_v3(b.db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &b.statements[i],
                                     NULL));
    double rate = bare_loop(&b, per_order, seconds);
    for (size_t i = 0; i < STATEMENTS; i++)
        (void)sqlite3_finalize(b.statements[i]);
    (void)sqlite3_close(b.db);
    remove_base(path);
    return rate;
}

int64_t floor_syncs(const char *path, size_t bytes, unsigned pieces, int64_t until_us)
{
    uint8_t *piece = calloc(1, bytes);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int64_t count = 0;

    if (!piece || fd < 0 || posix_fallocate(fd, 0, (off_t)(pieces * bytes)) != 0)
        die("floor: cannot write %s", path);
    for (; now_us() < until_us; count++)
        if (pwrite(fd, piece, bytes, (off_t)((size_t)(count % pieces) * bytes)) != (ssize_t)bytes ||
            fdatasync(fd) != 0)
            die("floor: cannot sync %s", path);
    close(fd);
    (void)unlink(path);
    free(piece);
    return count;
}

static double fsyncs(const char *dir, double seconds)
{
    char path[BENCH_PATH_MAX];
    int64_t began = now_us();

    if (snprintf(path, sizeof path, "%s/floor.sync", dir) >= BENCH_PATH_MAX)
        die("path too long");
    int64_t count = floor_syncs(path, 4096, 256, began + (int64_t)(seconds * 1e6));
    return (double)count * 1e6 / (double)(now_us() - began);
}

double floor_verifies(double seconds)
{
    uint8_t message[160] = {7}, signature[ED25519_SIGNATURE_BYTES];
    AUTO(ed25519_key_wipe) struct ed25519_key key;
    int64_t count = 0;

    ed25519_key_random(&key);
    ed25519_sign(&key, SPAN_ARRAY(message), signature);
    int64_t began = now_us();
    while ((double)(now_us() - began) < seconds * 1e6) {
        must(ed25519_verify(key.public_key, SPAN_ARRAY(message), signature), "verify");
        count++;
    }
    return (double)count * 1e6 / (double)(now_us() - began);
}

void floors_measure(const char *dir, unsigned per_order, double seconds, struct floors *ret_floors)
{
    ret_floors->sales_per_s = floor_sales(dir, per_order, seconds);
    ret_floors->fsyncs_per_s = fsyncs(dir, seconds);
    ret_floors->verifies_per_s = floor_verifies(seconds);
}

static void write_machine_floors(double seconds, struct json_writer *w)
{
    write_number(w, "http_requests_per_s", bare_small_requests_per_s(HTTP_CONNECTIONS, seconds));
    write_number(w, "argon2id_per_s_1_thread", floor_passwords(1, seconds));
    write_number(w, "argon2id_per_s_2_threads", floor_passwords(2, seconds));
    write_number(w, "ed25519_signs_per_s", floor_signs(seconds));
    write_number(w, "merkle_leaves_per_s", floor_leaves(seconds));
}

static void baseline(struct arguments *a, struct json_writer *w)
{
    const char *dir = arguments_text(a, "--dir", "/var/tmp");
    unsigned per_order = arguments_number(a, "--per-order", 2, 1, 10);
    unsigned clients = arguments_number(a, "--clients", 32, 1, 256);
    unsigned seconds = arguments_number(a, "--seconds", 3, 1, 60);
    struct floor_halts halts;
    struct floors f;
    double sales;

    arguments_end(a);
    floors_measure(dir, per_order, seconds, &f);
    json_w_kv_i64(w, "per_order", per_order);
    write_number(w, "sqlite_sales_per_s", f.sales_per_s);
    write_number(w, "fsyncs_per_s", f.fsyncs_per_s);
    write_number(w, "ed25519_verifies_per_s", f.verifies_per_s);
    write_machine_floors(seconds, w);
    floor_halts(dir, seconds, &halts);
    write_number(w, "halts_per_s", halts.per_s);
    write_number(w, "halted_share", halts.share);
    write_number(w, "halt_mean_ms", halts.mean_ms);
    write_number(w, "halt_longest_ms", halts.longest_ms);
    json_w_kv_i64(w, "pgbench_clients", clients);
    if (floor_postgres_sales(dir, per_order, clients, seconds, &sales))
        write_number(w, "pgbench_sales_per_s", sales);
    else
        json_w_kv_cstr(w, "pgbench_sales_per_s", NULL);
}

const struct bench_command baseline_command = {
    .name = "baseline",
    .summary = "what this machine does without us",
    .options = "  --per-order K     seats of a sale (2)\n"
               "  --clients C       of pgbench, where PostgreSQL is installed (32)\n"
               "  --seconds T       of each loop (3)\n",
    .run = baseline,
};
