/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger_inside.h"

#include <errno.h>
#include <poll.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ground/base/disk.h"
#include "store/sqlite/sqlite.h"
#include "store/store/writer.h"
#include "trust/ledger/ledger.h"
#include "trust/ledger/sequencer.h"
#include "trust/ledger/verify.h"

enum { BATCH = 256, QUEUE = 4096, STALLED_US = 60000000 };

static const char log_name[] = "bench.invalid/log";

struct parts {
    char dir[BENCH_PATH_MAX], database[BENCH_PATH_MAX + 16];
    struct store *store;
    struct store_reader *reader;
    struct disk keys, log, state;
    struct keyring *keyring;
    struct ledger *ledger;
    struct writer *writer;
    struct sequencer *sequencer;
    struct ed25519_key key;
    struct vkey vkey;
    int64_t person_no;
    /* Of the appending; the writer's thread changes them. */
    int64_t wanted, begun, done; /* done: atomic */
};

struct append {
    struct command command; /* first */
    struct parts *parts;
};

static double cpu_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- opening ------------------------------------------------------------------------------------------------------------------- */

/* What trust/signer does, without its process and its memory of what it signed. */
static enum err sign(void *context, uint64_t old_size, uint64_t new_size,
                     const struct merkle_hash *root, const struct merkle_hash *proof, size_t count,
                     struct buf *note)
{
    const struct parts *p = context;
    uint8_t signature[ED25519_SIGNATURE_BYTES];

    (void)old_size;
    (void)proof;
    (void)count;
    checkpoint_format(note, p->vkey.name, new_size, root);
    ed25519_sign(&p->key, buf_span(note), signature);
    buf_put_u8(note, '\n');
    note_put_signature(note, &p->vkey, SPAN_ARRAY(signature));
    return buf_check(note);
}

static void folder(const char *dir, const char *name, struct disk *ret_disk)
{
    char path[BENCH_PATH_MAX + 16];

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    if (mkdir(path, 0700) != 0)
        die("%s: %s", path, strerror(errno));
    must(disk_open(path, ret_disk), path);
}

static enum err person(struct store_tx *tx, void *context)
{
    struct parts *p = context;

    return keyring_person_create(tx, p->keyring, &p->person_no);
}

static void open_parts(struct parts *p)
{
    static const uint8_t master[SECRET_BYTES] = {7};
    const struct keyring_config keys = {.disk = &p->keys,
                                        .path = "keys",
                                        .master = master,
                                        .clock = clock_system(),
                                        .rng = rng_system(),
                                        .may_create = true};
    const struct store_config store = {.driver = store_sqlite(),
                                       .url = p->database,
                                       .clock = clock_system(),
                                       .rng = rng_system(),
                                       .backup_dir = p->dir};
    const struct writer_config writer = {.queue_max = QUEUE, .batch_max = BATCH};
    const struct sequencer_config log = {.disk = &p->log,
                                         .state = &p->state,
                                         .state_path = "size",
                                         .key = &p->vkey,
                                         .sign = sign,
                                         .sign_context = p,
                                         .may_create = true};

    folder(p->dir, "keys", &p->keys);
    folder(p->dir, "log", &p->log);
    folder(p->dir, "state", &p->state);
    must(store_open(&store, &p->store), "store");
    must(store_reader_open(p->store, &p->reader), "reader");
    must(keyring_open(&keys, &p->keyring), "keyring");
    must(ledger_new(p->keyring, &p->ledger), "ledger");
    ed25519_key_random(&p->key);
    must(vkey_make(log_name, NOTE_ED25519, p->key.public_key, &p->vkey), "key");
    must(sequencer_open(&log, &p->sequencer), "sequencer");
    must(writer_start(p->store, &writer, &p->writer), "writer");
    must(writer_call(p->writer, LANE_BACK, person, p), "person");
}

static void close_parts(struct parts *p)
{
    sequencer_close(p->sequencer);
    ledger_free(p->ledger);
    keyring_close(p->keyring);
    store_reader_close(p->reader);
    store_close(p->store);
    disk_close(&p->keys);
    disk_close(&p->log);
    disk_close(&p->state);
    ed25519_key_wipe(&p->key);
}

/* --- appending: on the writer's thread --------------------------------------------------------------------------------------- */

static enum err append(struct store_tx *tx, struct command *c)
{
    const struct parts *p = ((struct append *)c)->parts;
    struct entry_draft d;
    uint8_t id[ID_BYTES];

    id_make(store_clock(tx), store_rng(tx), id);
    entry_begin(&d, tx, ENTRY_ticket_issued, 1, 1);
    entry_id(&d, FIELD_ticket, id);
    entry_id(&d, FIELD_order, id);
    entry_int(&d, FIELD_place, 17);
    entry_money(&d, FIELD_price, (struct money){4250, {"EUR"}});
    entry_person(&d, FIELD_account, p->person_no, SPAN_ARRAY(id));
    return ledger_append(tx, p->ledger, &d, NULL);
}

static void appended(struct command *c, const struct err_info *error)
{
    struct parts *p = ((struct append *)c)->parts;

    if (error)
        die("an append failed: %s", error->detail);
    if (p->begun < p->wanted) {
        p->begun++;
        must(writer_submit(p->writer, c), "writer");
    }
    (void)__atomic_add_fetch(&p->done, 1, __ATOMIC_RELEASE);
}

static void append_all(struct parts *p, struct inside *f)
{
    static struct append appends[BATCH];
    struct writer_figures before, after;
    int64_t first = p->wanted < BATCH ? p->wanted : BATCH;

    writer_figures(p->writer, &before);
    double cpu = cpu_s();
    int64_t began = now_us();
    p->begun = first; /* before the thread looks */
    for (int64_t i = 0; i < first; i++) {
        appends[i] = (struct append){
            .command = {.run = append, .done = appended, .lane = LANE_SALE}, .parts = p};
        must(writer_submit(p->writer, &appends[i].command), "writer");
    }
    while (__atomic_load_n(&p->done, __ATOMIC_ACQUIRE) < p->wanted) {
        if (now_us() - began > STALLED_US + p->wanted * 1000)
            die("the writer does not come to an end");
        (void)poll(NULL, 0, 1);
    }
    f->append_s = (double)(now_us() - began) / 1e6;
    f->append_cpu_s = cpu_s() - cpu;
    writer_figures(p->writer, &after);
    f->batches = (int64_t)(after.batches - before.batches);
}

/* --- integrating ---------------------------------------------------------------------------------------------------------------- */

static void integrate_all(struct parts *p, struct inside *f)
{
    double cpu = cpu_s();
    int64_t began = now_us();
    uint64_t grown;

    do {
        must(sequencer_step(p->sequencer, p->reader, &grown), "sequencer");
        f->steps += grown > 0;
    } while (grown > 0);
    f->integrate_s = (double)(now_us() - began) / 1e6;
    f->integrate_cpu_s = cpu_s() - cpu;
}

static int64_t number(const char *database, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *q;

    if (sqlite3_open_v2(database, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK || sqlite3_step(q) != SQLITE_ROW)
        die("%s: %s", database, sqlite3_errmsg(db));
    int64_t n = sqlite3_column_int64(q, 0);
    (void)sqlite3_finalize(q);
    (void)sqlite3_close(db);
    return n;
}

static void verify(struct parts *p, struct inside *f)
{
    struct ledger_verify_report report = {0};

    if (ledger_verify(&p->log, &p->vkey, &report) == OK)
        f->missing = f->entries - (int64_t)report.size;
    else
        say("the log does not verify: %s, byte %llu: %s", report.file,
            (unsigned long long)report.offset, report.sentence);
}

void inside_measure(const char *dir, unsigned count, struct inside *ret_inside)
{
    struct parts p = {.wanted = count};
    struct inside *f = ret_inside;

    *f = (struct inside){.entries = count, .missing = count};
    if (snprintf(p.dir, sizeof p.dir, "%s/inside", dir) >= BENCH_PATH_MAX - 16 ||
        mkdir(p.dir, 0700) != 0)
        die("%s: %s", p.dir, strerror(errno));
    (void)snprintf(p.database, sizeof p.database, "%s/ledger.sqlite", p.dir);
    open_parts(&p);
    say("appending %u entries inside", count);
    append_all(&p, f);
    writer_stop(p.writer);
    say("integrating them");
    integrate_all(&p, f);
    verify(&p, f);
    close_parts(&p);
    f->sealed_bytes = number(p.database, "SELECT avg(length(sealed)) FROM entry");
    if (number(p.database, "SELECT count(*) FROM entry") != count)
        f->missing = count;
}

/* --- the floor --------------------------------------------------------------------------------------------------------------------- */

static void check(sqlite3 *db, int rc)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE)
        die("floor: %s", sqlite3_errmsg(db));
}

static void insert_all(sqlite3 *db, unsigned count, int64_t sealed_bytes)
{
    uint8_t id[ID_BYTES];
    sqlite3_stmt *q;

    check(db, sqlite3_prepare_v2(db,
                                 "INSERT INTO entry VALUES (?1, ?2, 40, 1, 1, 1790000000000, "
                                 "randomblob(?3), randomblob(32))",
                                 -1, &q, NULL));
    for (unsigned i = 0; i < count; i++) {
        if (i % BATCH == 0)
            check(db, sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
        id_make(clock_system(), rng_system(), id);
        check(db, sqlite3_bind_int64(q, 1, i));
        check(db, sqlite3_bind_blob(q, 2, id, ID_BYTES, SQLITE_STATIC));
        check(db, sqlite3_bind_int64(q, 3, sealed_bytes));
        check(db, sqlite3_step(q));
        check(db, sqlite3_reset(q));
        if (i % BATCH == BATCH - 1 || i + 1 == count)
            check(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
    }
    (void)sqlite3_finalize(q);
}

double inside_floor_rows(const char *dir, unsigned count, int64_t sealed_bytes)
{
    char path[BENCH_PATH_MAX];
    sqlite3 *db;

    if (snprintf(path, sizeof path, "%s/rows.sqlite", dir) >= BENCH_PATH_MAX)
        die("path too long");
    if (sqlite3_open(path, &db) != SQLITE_OK)
        die("floor: cannot make %s", path);
    check(db, sqlite3_exec(db,
                           "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA "
                           "wal_autocheckpoint=16000;"
                           "CREATE TABLE entry (entry_no INTEGER PRIMARY KEY, id BLOB NOT NULL "
                           "UNIQUE, kind INT, o INT, e INT, at INT, sealed BLOB, c BLOB)",
                           NULL, NULL, NULL));
    int64_t began = now_us();
    insert_all(db, count, sealed_bytes);
    double rate = (double)count * 1e6 / (double)(now_us() - began);
    (void)sqlite3_close(db);
    return rate;
}
