/* SPDX-License-Identifier: Apache-2.0 */
#include "fill.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    COPIES_AT_ONCE = 64, /* events a transaction */
    SHIFT_MS = 3600 * 1000,
    TELL_EVERY_US = 5000000,
    REFERENCES_CHECKED_MAX = 200000 /* tickets; beyond it takes minutes */
};

/* ?1 number of the new event, ?2 of the original, ?3 the copy's own number, ?4 how much earlier it is. moved(id, ?4): an id
 * of that time. CROSS JOIN says which table is walked. Over for a month: BACK. */
#define BACK " - ?4 - 2678400000"
static const char *const copy_sql[] = {
    "INSERT INTO event (event_no, id, organiser_no, venue_no, plan_no, name, description, "
    "time_zone, currency, starts_ms, ends_ms, doors_ms, sale_from_ms, sale_until_ms, status, "
    "per_order_max, entries_max, capacity, version, created_ms) SELECT ?1, moved(id, ?4), "
    "organiser_no, venue_no, plan_no, name || ' ' || ?3, description, time_zone, currency, "
    "starts_ms" BACK ", ends_ms" BACK ", doors_ms" BACK ", sale_from_ms" BACK ", sale_until_ms" BACK
    ", 'closed', per_order_max, entries_max, capacity, version + 1, "
    "created_ms" BACK " FROM event WHERE event_no = ?2",

    "INSERT INTO category (event_no, category_no, id, name, color, price_minor, fee_minor) "
    "SELECT ?1, category_no, moved(id, ?4), name, color, price_minor, fee_minor FROM category "
    "WHERE event_no = ?2",

    "INSERT INTO place (event_no, place_no, category_no, state, generation, until_ms, ticket_id) "
    "SELECT ?1, place_no, category_no, state, generation, until_ms, moved(ticket_id, ?4) "
    "FROM place WHERE event_no = ?2",

    "INSERT INTO hold (id, event_no, organiser_no, account_no, status, fingerprint, places, "
    "created_ms, expires_ms, latest_ms) SELECT moved(h.id, ?4), ?1, h.organiser_no, h.account_no, "
    "h.status, h.fingerprint, h.places, h.created_ms" BACK ", h.expires_ms" BACK
    ", h.latest_ms" BACK " FROM sale_order o CROSS JOIN hold h ON h.id = o.hold_id "
    "WHERE o.event_no = ?2",

    "INSERT INTO sale_order (id, organiser_no, event_no, account_no, hold_id, status, "
    "amount_minor, currency, created_ms, pay_until_ms, cancel_ms, ended_ms, version) "
    "SELECT moved(id, ?4), organiser_no, ?1, account_no, moved(hold_id, ?4), status, "
    "amount_minor, currency, created_ms" BACK ", pay_until_ms" BACK ", cancel_ms" BACK
    ", ended_ms" BACK ", version FROM sale_order WHERE event_no = ?2",

    "INSERT INTO order_line (order_id, place_no, category_no, price_minor, fee_minor) SELECT "
    "moved(l.order_id, ?4), l.place_no, l.category_no, l.price_minor, l.fee_minor FROM "
    "sale_order o CROSS JOIN order_line l ON l.order_id = o.id WHERE o.event_no = ?2",

    "INSERT INTO payment (id, order_id, organiser_no, attempt, past_attempt, state, session_ref, "
    "intent_ref, "
    "amount_minor, currency, title, return_origin, captured_minor, refunded_minor, tries, next_ms, "
    "created_ms) "
    "SELECT moved(p.id, ?4), moved(p.order_id, ?4), p.organiser_no, "
    "p.attempt, p.past_attempt, p.state, "
    "printf('%08d_', ?3) || p.session_ref, printf('%08d_', ?3) || p.intent_ref, "
    "p.amount_minor, p.currency, p.title, p.return_origin, p.captured_minor, p.refunded_minor, "
    "p.tries, p.next_ms" BACK ", p.created_ms" BACK
    " FROM sale_order o CROSS JOIN payment p ON p.order_id = o.id "
    "WHERE o.event_no = ?2",

    "INSERT INTO posting (booking_id, line, order_id, ledger_account, amount_minor, currency, "
    "at_ms) SELECT moved(b.booking_id, ?4), b.line, moved(b.order_id, ?4), b.ledger_account, "
    "b.amount_minor, b.currency, b.at_ms" BACK " FROM sale_order o CROSS JOIN payment p ON "
    "p.order_id = o.id CROSS JOIN posting b ON b.booking_id = p.id WHERE o.event_no = ?2",

    "INSERT INTO job (id, kind, subject_id, state, attempts, due_ms, created_ms) SELECT "
    "moved(id, ?4), 'mail.order_paid', moved(id, ?4), 'done', 1, created_ms" BACK
    ", created_ms" BACK " FROM sale_order WHERE event_no = ?2 AND status = 'paid'",

    "INSERT INTO ticket (id, organiser_no, event_no, place_no, generation, past_generation, "
    "order_id, account_no, category_no, price_minor, fee_minor, currency, status, sequence, "
    "last_entry_id, issued_ms) SELECT moved(id, ?4), organiser_no, ?1, place_no, generation, "
    "past_generation, moved(order_id, ?4), account_no, category_no, price_minor, fee_minor, "
    "currency, "
    "status, sequence, moved(last_entry_id, ?4), issued_ms" BACK " FROM ticket WHERE event_no = ?2",

    "INSERT INTO device (id, organiser_no, event_no, name, gate, public_key, status, "
    "enrolled_by, enrolled_ms) SELECT moved(id, ?4), organiser_no, ?1, 'Scanner', 'Gate', "
    "randomblob(32), 'active', 1, created_ms" BACK " FROM event WHERE event_no = ?2",

    "INSERT INTO scan (id, organiser_no, event_no, device_no, sequence, code_hash, ticket_id, "
    "admission_no, admitted, conflict, reason, scanned_ms, received_ms) SELECT moved(t.id, ?4), "
    "t.organiser_no, ?1, d.device_no, t.place_no + 1, randomblob(32), moved(t.id, ?4), 1, 1, 0, "
    "'ok', e.doors_ms, e.doors_ms FROM event e CROSS JOIN device d ON d.id = (SELECT "
    "moved(o.id, ?4) FROM event o WHERE o.event_no = ?2) CROSS JOIN ticket t ON t.event_no = ?2 "
    "WHERE e.event_no = ?1 AND t.past_generation = 0"};

struct base {
    sqlite3 *db;
    sqlite3_stmt *copies[COUNT_OF(copy_sql)];
};

static void check(struct base *b, int rc)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE)
        die("fill: %s", sqlite3_errmsg(b->db));
}

static void run(struct base *b, const char *text)
{
    check(b, sqlite3_exec(b->db, text, NULL, NULL, NULL));
}

static int64_t number(struct base *b, const char *text)
{
    sqlite3_stmt *q;

    check(b, sqlite3_prepare_v2(b->db, text, -1, &q, NULL));
    if (sqlite3_step(q) != SQLITE_ROW)
        die("fill: %s", sqlite3_errmsg(b->db));
    int64_t n = sqlite3_column_int64(q, 0);
    (void)sqlite3_finalize(q);
    return n;
}

/* moved(id, ms): the same id, that much earlier; NULL stays NULL. */
static void moved(sqlite3_context *c, int count, sqlite3_value **values)
{
    uint8_t id[ID_BYTES], time[8] = {0};

    (void)count;
    if (sqlite3_value_bytes(values[0]) != ID_BYTES) {
        sqlite3_result_null(c);
        return;
    }
    memcpy(id, sqlite3_value_blob(values[0]), sizeof id);
    memcpy(time + 2, id, 6);
    put_u64be(time, get_u64be(time) - (uint64_t)sqlite3_value_int64(values[1]));
    memcpy(id, time + 2, 6);
    sqlite3_result_blob(c, id, sizeof id, SQLITE_TRANSIENT);
}

static void path_of(const struct world *w, char *out, size_t size)
{
    (void)snprintf(out, size, "%s/db/gatehouse.sqlite", w->dir);
}

static void open_base(const struct world *w, struct base *b)
{
    char path[BENCH_PATH_MAX + 32];

    *b = (struct base){0};
    path_of(w, path, sizeof path);
    check(b, sqlite3_open_v2(path, &b->db, SQLITE_OPEN_READWRITE, NULL));
    check(b, sqlite3_create_function(b->db, "moved", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL,
                                     moved, NULL, NULL));
}

static void close_base(struct base *b)
{
    for (size_t i = 0; i < COUNT_OF(copy_sql); i++)
        (void)sqlite3_finalize(b->copies[i]);
    check(b, sqlite3_close(b->db));
}

static int64_t original_no(struct base *b, const struct fill *f)
{
    struct event_id id;
    sqlite3_stmt *q;

    must(event_id_parse(span_text(f->event), &id), "event id");
    check(b, sqlite3_prepare_v2(b->db, "SELECT event_no FROM event WHERE id = ?1", -1, &q, NULL));
    check(b, sqlite3_bind_blob(q, 1, id.b, ID_BYTES, SQLITE_STATIC));
    if (sqlite3_step(q) != SQLITE_ROW)
        die("fill: there is no such event");
    int64_t no = sqlite3_column_int64(q, 0);
    (void)sqlite3_finalize(q);
    return no;
}

static int64_t tickets_of(struct base *b, int64_t event_no)
{
    char text[128];

    (void)snprintf(text, sizeof text,
                   "SELECT count(*) FROM ticket WHERE event_no = %lld AND past_generation = 0",
                   (long long)event_no);
    int64_t n = number(b, text);
    if (n == 0)
        die("fill: nothing was sold of the event");
    return n;
}

void fill_plan(const struct world *w, struct fill *f, int64_t tickets_max)
{
    struct base b;

    open_base(w, &b);
    int64_t each = tickets_of(&b, original_no(&b, f));
    f->copies = f->tickets = f->scans = 0;
    f->copies_max = (tickets_max + each - 1) / each;
    close_base(&b);
}

static void copy(struct base *b, struct fill *f, int64_t original, int64_t event_no)
{
    int64_t shift_ms = (f->copies_max - f->copies) * SHIFT_MS;

    f->copies++;
    for (size_t i = 0; i < COUNT_OF(copy_sql); i++) {
        sqlite3_stmt *q = b->copies[i];
        check(b, sqlite3_bind_int64(q, 1, event_no));
        check(b, sqlite3_bind_int64(q, 2, original));
        int count = sqlite3_bind_parameter_count(q);
        if (count >= 3)
            check(b, sqlite3_bind_int64(q, 3, f->copies));
        if (count >= 4)
            check(b, sqlite3_bind_int64(q, 4, shift_ms));
        check(b, sqlite3_step(q));
        check(b, sqlite3_reset(q));
    }
}

static void copy_until(struct base *b, struct fill *f, int64_t tickets)
{
    int64_t original = original_no(b, f), each = tickets_of(b, original);
    int64_t event_no = number(b, "SELECT max(event_no) FROM event"), began = now_us(), told = began;

    for (size_t i = 0; i < COUNT_OF(copy_sql); i++)
        check(b, sqlite3_prepare_v3(b->db, copy_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                    &b->copies[i], NULL));
    while (f->tickets < tickets) {
        run(b, "BEGIN IMMEDIATE");
        for (int i = 0; i < COPIES_AT_ONCE && f->tickets < tickets; i++) {
            copy(b, f, original, ++event_no);
            f->tickets += each;
            f->scans += each;
        }
        run(b, "COMMIT");
        if (now_us() - told > TELL_EVERY_US) {
            told = now_us();
            say("%lld of %lld tickets after %.0f s", (long long)f->tickets, (long long)tickets,
                (double)(told - began) / 1e6);
        }
    }
}

void fill_to(const struct world *w, struct fill *f, int64_t tickets)
{
    struct base b;

    if (f->tickets >= tickets)
        return;
    open_base(w, &b);
    /* Why without a journal: a file that was left half done is thrown away with its directory. */
    run(&b, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "PRAGMA foreign_keys = OFF; PRAGMA cache_size = -262144; PRAGMA temp_store = MEMORY");
    copy_until(&b, f, tickets);
    if (f->tickets <= REFERENCES_CHECKED_MAX &&
        number(&b, "SELECT count(*) FROM pragma_foreign_key_check") != 0)
        die("fill: rows refer to rows that are not there");
    run(&b, "PRAGMA journal_mode = WAL");
    close_base(&b);
}

int64_t fill_settle(const struct world *w)
{
    char path[BENCH_PATH_MAX + 32];
    struct stat s;

    path_of(w, path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0 || fstat(fd, &s) != 0)
        die("%s: %s", path, strerror(errno));
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
    return s.st_size;
}
