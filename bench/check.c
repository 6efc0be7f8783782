/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check - after the run: does the database say what was promised? Opened read-only with SQLite itself, so that no code of the
 * product stands between the rows and the answer; then the product's own audit and verify are asked.
 */
#include <sqlite3.h>
#include <string.h>
#include <sys/wait.h>

#include "bench.h"

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *q;

    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK || sqlite3_step(q) != SQLITE_ROW)
        die("check: %s", sqlite3_errmsg(db));
    int64_t n = sqlite3_column_int64(q, 0);
    (void)sqlite3_finalize(q);
    return n;
}

/* The tickets of the order o, by the index that keeps a place's ticket alone. */
#define TICKETS_OF_O                                                                               \
    " FROM order_line l CROSS JOIN ticket t WHERE l.order_id = o.id AND t.event_no = o.event_no"   \
    " AND t.place_no = l.place_no AND t.order_id = o.id"

static void orders(sqlite3 *db, const struct promise *promises, size_t count, struct findings *f)
{
    sqlite3_stmt *q;

    if (sqlite3_prepare_v2(db,
                           "SELECT status, (SELECT count(*)" TICKETS_OF_O " AND t.status = 'valid')"
                           " FROM sale_order o WHERE o.id = ?1",
                           -1, &q, NULL) != SQLITE_OK)
        die("check: %s", sqlite3_errmsg(db));
    for (size_t i = 0; i < count; i++) {
        struct order_id id;
        must(order_id_parse(span_text(promises[i].order), &id), "order id");
        (void)sqlite3_bind_blob(q, 1, id.b, ID_BYTES, SQLITE_STATIC);
        if (sqlite3_step(q) != SQLITE_ROW)
            f->orders_missing++;
        else if (promises[i].paid &&
                 (strcmp((const char *)sqlite3_column_text(q, 0), "paid") != 0 ||
                  sqlite3_column_int64(q, 1) != promises[i].places))
            f->tickets_missing++;
        (void)sqlite3_reset(q);
    }
    (void)sqlite3_finalize(q);
}

static void rows(sqlite3 *db, struct findings *f)
{
    f->sold_places = number(db, "SELECT count(*) FROM place WHERE state = 3");
    f->tickets = number(db, "SELECT count(*) FROM ticket WHERE status = 'valid'");
    f->entries = number(db, "SELECT count(*) FROM entry");
    f->double_sold = number(
        db, "SELECT count(*) FROM (SELECT 1 FROM ticket WHERE status IN ('valid','suspended')"
            " GROUP BY event_no, place_no HAVING count(*) > 1)");
    /* M1: captured or returned; issued and paid; postings of a booking sum to zero; the amounts are the lines'. */
    f->money = number(db, "SELECT count(*) FROM payment p WHERE captured_minor > 0 AND "
                          "refunded_minor = 0 AND NOT EXISTS"
                          " (SELECT 1 FROM sale_order o WHERE o.id = p.order_id AND EXISTS "
                          "(SELECT 1" TICKETS_OF_O ")) AND NOT EXISTS"
                          " (SELECT 1 FROM refund r WHERE r.payment_id = p.id)");
    f->money += number(
        db, "SELECT count(*) FROM ticket t WHERE status = 'valid' AND t.price_minor + t.fee_minor "
            "> 0 AND NOT EXISTS"
            " (SELECT 1 FROM payment p WHERE p.order_id = t.order_id AND p.state = 'captured')");
    f->money += number(db, "SELECT count(*) FROM (SELECT 1 FROM posting GROUP BY booking_id, "
                           "currency HAVING sum(amount_minor) <> 0)");
    f->money += number(db, "SELECT count(*) FROM sale_order o WHERE amount_minor <> (SELECT "
                           "sum(price_minor + fee_minor)"
                           " FROM order_line l WHERE l.order_id = o.id)");
    f->money += number(
        db,
        "SELECT abs((SELECT coalesce(sum(captured_minor - refunded_minor), 0) FROM payment) -"
        " (SELECT coalesce(sum(amount_minor), 0) FROM posting WHERE ledger_account = 'provider'))");
}

static int64_t ask(const struct world *w, const char *what)
{
    const char *const arguments[] = {"ledger", what, "--dir", w->dir, "--json", NULL};
    AUTO(buf_done) struct buf out = {0};

    buf_init(&out, 1 << 22);
    int status = world_run(w, arguments, &out);
    if (status != 0)
        say("ledger %s ended with %d: %s", what, status, buf_text(&out));
    return status == 0 ? 0 : 1;
}

static sqlite3 *open_base(const struct world *w)
{
    char path[BENCH_PATH_MAX + 32];
    sqlite3 *db;

    (void)snprintf(path, sizeof path, "%s/db/gatehouse.sqlite", w->dir);
    /* Some of the questions jump about in what may be many gigabytes. */
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
        sqlite3_exec(db, "PRAGMA cache_size = -524288", NULL, NULL, NULL) != SQLITE_OK)
        die("check: %s: %s", path, sqlite3_errmsg(db));
    return db;
}

void check_promises(const struct world *w, const struct promise *promises, size_t count, bool audit,
                    struct findings *ret_findings)
{
    memset(ret_findings, 0, sizeof *ret_findings);
    if (audit)
        ret_findings->audit = ask(w, "audit");
    ret_findings->log = ask(w, "verify");
    sqlite3 *db = open_base(w);
    orders(db, promises, count, ret_findings);
    rows(db, ret_findings);
    (void)sqlite3_close(db);
}

int64_t findings_total(const struct findings *f)
{
    return f->double_sold + f->orders_missing + f->tickets_missing + f->money + f->audit + f->log +
           (f->sold_places != f->tickets);
}

void findings_write(const struct findings *f, struct json_writer *w)
{
    json_w_kv_i64(w, "double_sold", f->double_sold);
    json_w_kv_i64(w, "orders_missing", f->orders_missing);
    json_w_kv_i64(w, "tickets_missing", f->tickets_missing);
    json_w_kv_i64(w, "money_out_of_balance", f->money);
    json_w_kv_bool(w, "log_verifies", f->log == 0);
    json_w_kv_i64(w, "entries", f->entries);
}

/* --- scans ------------------------------------------------------------------------------------------------------------------- */

/* The stored row against the answer. */
static bool same(sqlite3_stmt *q, const struct scan_promise *p)
{
    struct ticket_id ticket;
    bool admitted = strcmp(p->reason, "ok") == 0;

    if (sqlite3_column_int64(q, 0) != admitted ||
        strcmp((const char *)sqlite3_column_text(q, 1), p->reason) != 0)
        return false;
    if (!p->ticket)
        return sqlite3_column_type(q, 2) == SQLITE_NULL;
    must(ticket_id_parse(span_text(p->ticket), &ticket), "ticket id");
    return sqlite3_column_bytes(q, 2) == ID_BYTES &&
           memcmp(sqlite3_column_blob(q, 2), ticket.b, ID_BYTES) == 0;
}

void check_scans(const struct world *w, const struct scan_promise *promises, size_t count,
                 int64_t others, struct scan_findings *ret_findings)
{
    struct scan_findings f = {0};
    sqlite3 *db = open_base(w);
    sqlite3_stmt *q;

    if (sqlite3_prepare_v2(db,
                           "SELECT s.admitted, s.reason, s.ticket_id FROM scan s JOIN device d ON "
                           "d.device_no = s.device_no WHERE d.id = ?1 AND s.sequence = ?2",
                           -1, &q, NULL) != SQLITE_OK)
        die("check: %s", sqlite3_errmsg(db));
    for (size_t i = 0; i < count; i++) {
        struct device_id id;
        must(device_id_parse(span_text(promises[i].device), &id), "device id");
        (void)sqlite3_bind_blob(q, 1, id.b, ID_BYTES, SQLITE_STATIC);
        (void)sqlite3_bind_int64(q, 2, promises[i].sequence);
        if (sqlite3_step(q) != SQLITE_ROW)
            f.missing++;
        else
            f.other_verdict += !same(q, &promises[i]);
        (void)sqlite3_reset(q);
    }
    (void)sqlite3_finalize(q);
    f.unasked = number(db, "SELECT count(*) FROM scan") + f.missing - (int64_t)count - others;
    f.admitted_twice = number(
        db, "SELECT count(*) FROM (SELECT 1 FROM scan s JOIN event e ON e.event_no = s.event_no"
            " WHERE s.admitted = 1 GROUP BY s.ticket_id, e.entries_max HAVING count(*) > "
            "e.entries_max)");
    (void)sqlite3_close(db);
    *ret_findings = f;
}

int64_t scan_findings_total(const struct scan_findings *f)
{
    return f->admitted_twice + f->missing + f->other_verdict + f->unasked;
}

void scan_findings_write(const struct scan_findings *f, struct json_writer *w)
{
    json_w_kv_i64(w, "admitted_twice", f->admitted_twice);
    json_w_kv_i64(w, "scans_missing", f->missing);
    json_w_kv_i64(w, "scans_other_verdict", f->other_verdict);
    json_w_kv_i64(w, "scans_unasked", f->unasked);
}
