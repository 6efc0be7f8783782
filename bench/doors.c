/* SPDX-License-Identifier: Apache-2.0 */
#include "doors.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ground/base/thread.h"
#include "ground/crypto/crypto.h"
#include "ground/encode/base45.h"
#include "ground/encode/base64.h"

enum {
    REQUESTS_MAX = 1 << 30,
    BUSY_US = 5000,
    LEAD_US = 20000, /* until the first is due */
    AT_ONCE_EVERY =
        25, /* of so many scans one shows the ticket of the one before, at the next door */
    LATER_EVERY = 50,
    ALTERED_EVERY = 200,
    STALLED_US = 60000000,
    DOORS_NICE = -15 /* before the server's threads too */
};

/* One of a round's scans. */
struct scan {
    uint32_t pass;
    uint32_t length;
    size_t at; /* of its request among the round's bytes */
    int64_t sequence, due_us;
    bool altered, again; /* again: something was known of the ticket when it was sent */
};

struct scanner {
    struct doors *doors;
    char id[ID_TEXT_MAX];
    struct ed25519_key key;
    int64_t sequence; /* of the last scan sent */
    size_t next;      /* in the round: the one under way, else the next */
    bool busy;
};

struct round {
    const struct round_wish *wish;
    struct round_score *score;
    struct scan *scans;
    size_t count, cap;
    struct buf requests;
    size_t due; /* those before it are due */
    size_t end; /* those from here on are not sent */
    int64_t answered, began_us, last_us;
    struct cost cost;
    atomic_bool enough, over;
};

struct doors {
    struct rig *rig;
    struct wire *wire; /* turned by the round's thread alone */
    struct wire_pool *pool;
    struct pass *passes;
    struct scanner *scanners;
    unsigned count;
    struct round round; /* the one that goes on */
    pthread_t thread;
    struct scan_promise *promises;
    size_t promise_count, promise_cap;
};

/* --- enrolment --------------------------------------------------------------------------------------------------------------- */

static void enrol(struct rig *r, const struct house *h, const struct stage *stage, unsigned number,
                  struct scanner *s)
{
    AUTO(buf_done) struct buf json = {0};
    struct span answer, token;
    char path[128];

    ed25519_key_random(&s->key);
    new_id(s->id, "dev");
    buf_init(&json, 1024);
    (void)snprintf(path, sizeof path, "/api/v1/events/%s/devices/enrolments", stage->event);
    buf_printf(&json, "{\"name\":\"Scanner %u\",\"gate\":\"Gate %u\"}", number, number / 8);
    answer = seed_ask(r, h->owner_token, "POST", path, buf_text(&json), 201);
    if (!find_text(answer, "token", &token))
        die("no token in the answer to an enrolment");
    buf_reset(&json);
    buf_printf(&json, "{\"id\":\"%s\",\"token\":\"" SPAN_FMT "\",\"public_key\":\"", s->id,
               SPAN_ARG(token));
    base64_put(&json, SPAN_ARRAY(s->key.public_key));
    buf_put_text(&json, "\"}");
    (void)seed_ask(r, NULL, "POST", "/api/v1/devices/enrol", buf_text(&json), 201);
}

struct doors *doors_new(struct rig *r, const struct house *h, const struct stage *stage,
                        struct pass *passes, unsigned scanners)
{
    struct doors *d = calloc(1, sizeof *d);

    if (!d || !(d->scanners = calloc(scanners, sizeof *d->scanners)))
        die("no memory");
    d->rig = r;
    d->passes = passes;
    d->count = scanners;
    d->wire = wire_new();
    d->pool = wire_pool_new(d->wire, r->world.port, scanners);
    for (unsigned i = 0; i < scanners; i++) {
        d->scanners[i].doors = d;
        enrol(r, h, stage, i, &d->scanners[i]);
    }
    return d;
}

void doors_free(struct doors *d)
{
    for (unsigned i = 0; i < d->count; i++)
        ed25519_key_wipe(&d->scanners[i].key);
    wire_pool_free(d->pool);
    wire_free(d->wire);
    free(d->scanners);
    free(d->promises);
    free(d);
}

/* --- making scans ------------------------------------------------------------------------------------------------------------ */

/* One bit of the seal's tag: still a code to the eye, not to the key. */
static void put_altered(struct buf *out, const char *code)
{
    uint8_t sealed[PASS_CODE_MAX];
    size_t len;

    must(base45_decode(span_text(code + 4), sealed, sizeof sealed, &len), "code");
    sealed[len - 1] ^= 1;
    buf_put(out, code, 4);
    base45_put(out, span_of(sealed, len));
}

static void put_signature(const struct scanner *s, int64_t sequence, const char *scanned_at,
                          struct span code, struct buf *out)
{
    AUTO(buf_done) struct buf message = {0};
    uint8_t signature[ED25519_SIGNATURE_BYTES];

    buf_init(&message, 1024);
    buf_printf(&message, "gatehouse/scan/1\n%s\n%lld\n%s\n", s->id, (long long)sequence,
               scanned_at);
    buf_put_span(&message, code);
    ed25519_sign(&s->key, buf_span(&message), signature);
    base64_put(out, SPAN_ARRAY(signature));
}

/* The request of one scan, as its device would send it. */
static void write_scan(struct doors *d, const struct scanner *s, struct scan *scan, int64_t at_ms,
                       struct buf *out)
{
    AUTO(buf_done) struct buf code = {0};
    AUTO(buf_done) struct buf json = {0};
    const char *text = d->passes[scan->pass].code;
    char scanned_at[TIME_TEXT_MAX];

    time_format(at_ms, scanned_at);
    buf_init(&code, PASS_CODE_MAX);
    if (scan->altered)
        put_altered(&code, text);
    else
        buf_put_text(&code, text);
    buf_init(&json, 2048);
    buf_printf(&json, "{\"device\":\"%s\",\"sequence\":%lld,\"scanned_at\":\"%s\",\"code\":\"",
               s->id, (long long)scan->sequence, scanned_at);
    buf_put_span(&json, buf_span(&code));
    buf_put_text(&json, "\",\"signature\":\"");
    put_signature(s, scan->sequence, scanned_at, buf_span(&code), &json);
    buf_put_text(&json, "\"}");
    must(buf_check(&json), "scan");
    scan->at = out->len;
    request_write(out, d->rig->world.port, "POST", "/api/v1/scans", NULL, buf_span(&json));
    scan->length = (uint32_t)(out->len - scan->at);
}

/* What the k-th scan shows. *fresh counts the passes shown so far. */
static struct scan choose(const struct round_wish *wish, size_t k, size_t *fresh)
{
    size_t shown = *fresh, which;
    struct scan scan = {0};

    if (wish->mixed && shown && k % ALTERED_EVERY == ALTERED_EVERY - 1) {
        scan.altered = true;
        which = shown - 1;
    } else if (wish->mixed && shown && k % AT_ONCE_EVERY == AT_ONCE_EVERY - 1) {
        which = shown - 1;
    } else if (wish->mixed && shown && k % LATER_EVERY == LATER_EVERY / 2) {
        which = shown / 2;
    } else if (shown < wish->fresh) {
        which = (*fresh)++;
    } else {
        which = k % wish->fresh;
    }
    scan.pass = (uint32_t)(wish->first + which);
    return scan;
}

static void add_scan(struct round *r, const struct scan *scan)
{
    if (r->count == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 4096;
        r->scans = realloc(r->scans, r->cap * sizeof *r->scans);
        if (!r->scans)
            die("no memory for scans");
    }
    r->scans[r->count++] = *scan;
}

static void prepare(struct doors *d, struct round *r)
{
    const struct round_wish *wish = r->wish;
    size_t fresh = 0, lanes = wish->scanners;
    int64_t now_ms = clock_now_ms(clock_system());

    while (wish->scans ? r->count < wish->scans : fresh < wish->fresh) {
        struct scan scan = choose(wish, r->count, &fresh);
        add_scan(r, &scan);
    }
    buf_init(&r->requests, REQUESTS_MAX);
    for (size_t k = 0; k < r->count; k++) {
        struct scanner *s = &d->scanners[k % lanes];
        int64_t ago_ms =
            wish->stored_s * INT64_C(1000) * (int64_t)(r->count - k) / (int64_t)r->count;
        r->scans[k].sequence = s->sequence + 1 + (int64_t)(k / lanes);
        write_scan(d, s, &r->scans[k], now_ms - ago_ms, &r->requests);
    }
    must(buf_check(&r->requests), "scans");
    r->end = r->count;
}

/* --- what is answered -------------------------------------------------------------------------------------------------------- */

static void promise(struct doors *d, const struct scan_promise *p)
{
    if (d->promise_count == d->promise_cap) {
        d->promise_cap = d->promise_cap ? d->promise_cap * 2 : 4096;
        d->promises = realloc(d->promises, d->promise_cap * sizeof *d->promises);
        if (!d->promises)
            die("no memory for promises");
    }
    d->promises[d->promise_count++] = *p;
}

/* The reasons that can be expected, as constants; NULL for another. */
static const char *reason_of(struct span body)
{
    static const char *const reasons[] = {"ok", "already_admitted", "forged"};
    struct span reason, verdict;

    if (!find_text(body, "reason", &reason) || !find_text(body, "verdict", &verdict))
        return NULL;
    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        if (span_eq_text(reason, reasons[i]) &&
            span_eq_text(verdict, i == 0 ? "admitted" : "rejected"))
            return reasons[i];
    return NULL;
}

/* Is this what had to be answered? The pass remembers what is known of it from now on. */
static bool expected(const struct scan *scan, struct pass *p, const char *reason, struct span body)
{
    struct span ticket;
    bool names = find_text(body, "id", &ticket) && span_eq_text(ticket, p->ticket);

    if (!reason)
        return false;
    if (scan->altered)
        return strcmp(reason, "forged") == 0 && !names;
    if (strcmp(reason, "ok") == 0) {
        p->entered++;
        p->shown = true;
        return names && p->entered == 1 && !scan->again;
    }
    p->shown = true;
    return names && strcmp(reason, "already_admitted") == 0;
}

static void judge(struct doors *d, const struct scanner *s, const struct scan *scan,
                  struct span body)
{
    struct round_score *score = d->round.score;
    struct pass *p = &d->passes[scan->pass];
    const char *reason = reason_of(body);

    if (!expected(scan, p, reason, body)) {
        if (score->wrong++ == 0)
            say("not the answer expected: " SPAN_FMT, SPAN_ARG(body));
    }
    if (!reason)
        return;
    score->admitted += strcmp(reason, "ok") == 0;
    score->again += strcmp(reason, "already_admitted") == 0;
    score->forged += strcmp(reason, "forged") == 0;
    promise(d, &(struct scan_promise){.device = s->id,
                                      .sequence = scan->sequence,
                                      .reason = reason,
                                      .ticket = scan->altered ? NULL : p->ticket});
}

/* Whoever was shown was let in. */
static int64_t never_let_in(const struct doors *d, const struct round_wish *wish)
{
    int64_t count = 0;

    for (size_t i = 0; i < wish->fresh; i++) {
        const struct pass *p = &d->passes[wish->first + i];
        count += p->shown && p->entered == 0;
    }
    return count;
}

/* --- a round ----------------------------------------------------------------------------------------------------------------- */

static void scan_send(void *context);

static void scan_answered(void *context, const struct wire_answer *a)
{
    struct scanner *s = context;
    struct doors *d = s->doors;
    struct round *r = &d->round;
    struct scan *scan = &r->scans[s->next];

    if (a->status == 503) {
        r->score->retries++;
        wire_after(d->wire, BUSY_US, scan_send, s);
        return;
    }
    if (a->status != 200)
        die("a scan was answered %d: " SPAN_FMT, a->status, SPAN_ARG(a->body));
    r->last_us = now_us();
    samples_add(&r->score->times, r->wish->rate ? r->last_us - scan->due_us : a->took_us);
    judge(d, s, scan, a->body);
    r->answered++;
    s->sequence = scan->sequence;
    s->next += r->wish->scanners;
    s->busy = false;
    if (s->next < r->due && s->next < r->end)
        scan_send(s);
}

static void scan_send(void *context)
{
    struct scanner *s = context;
    struct doors *d = s->doors;
    struct scan *scan = &d->round.scans[s->next];

    s->busy = true;
    scan->again = d->passes[scan->pass].shown;
    wire_send(d->pool, span_of(d->round.requests.data + scan->at, scan->length), scan_answered, s);
}

/* At a rate: what is due is sent where the scanner is free; else it follows the answer that the scanner waits for. */
static void tick(void *context)
{
    struct doors *d = context;
    struct round *r = &d->round;
    int64_t now;

    while (r->due < r->end && r->scans[r->due].due_us <= (now = now_us())) {
        if (atomic_load(&r->enough)) {
            r->end = r->due;
            return;
        }
        struct scanner *s = &d->scanners[r->due % r->wish->scanners];
        size_t k = r->due++;
        if (!s->busy && s->next == k) {
            samples_add(&r->score->late, now - r->scans[k].due_us);
            scan_send(s);
        }
    }
    if (r->due < r->end)
        wire_after(d->wire, r->scans[r->due].due_us - now_us(), tick, d);
}

static void begin(struct doors *d, struct round *r)
{
    int64_t now = now_us();

    for (unsigned i = 0; i < r->wish->scanners; i++) {
        d->scanners[i].next = i;
        d->scanners[i].busy = false;
    }
    r->last_us = now;
    if (r->wish->rate == 0) {
        r->due = r->count;
        for (unsigned i = 0; i < r->wish->scanners && i < r->count; i++)
            scan_send(&d->scanners[i]);
        return;
    }
    for (size_t k = 0; k < r->count; k++)
        r->scans[k].due_us = now + LEAD_US + (int64_t)(k * 1000000 / r->wish->rate);
    tick(d);
}

static void *doors_main(void *context)
{
    struct doors *d = context;
    struct round *r = &d->round;

    thread_nice(DOORS_NICE);
    begin(d, r);
    while (r->answered < (int64_t)r->end) {
        wire_turn(d->wire, 1000);
        if (now_us() - r->last_us > STALLED_US)
            die("no scan was answered for a minute");
    }
    r->score->cost = cost_since(d->rig, &r->cost);
    atomic_store(&r->over, true);
    return NULL;
}

void doors_begin(struct doors *d, const struct round_wish *wish, struct round_score *score)
{
    struct round *r = &d->round;

    *score = (struct round_score){0};
    if (wish->scanners > d->count || wish->fresh == 0 ||
        (!wish->mixed && wish->scans > wish->fresh))
        die("a round that cannot be");
    *r = (struct round){.wish = wish, .score = score};
    prepare(d, r);
    r->cost = cost_now(d->rig);
    r->began_us = now_us();
    must(thread_start(&d->thread, "doors", doors_main, d), "doors");
}

bool doors_running(const struct doors *d)
{
    return !atomic_load(&d->round.over);
}

void doors_enough(struct doors *d)
{
    atomic_store(&d->round.enough, true);
}

void doors_end(struct doors *d)
{
    struct round *r = &d->round;
    struct round_score *score = r->score;

    (void)pthread_join(d->thread, NULL);
    /* Until the next round nobody would see that the server ended them. */
    wire_pool_close(d->pool);
    score->scans = r->answered;
    score->seconds = (double)(r->last_us - r->began_us - (r->wish->rate ? LEAD_US : 0)) / 1e6;
    score->wrong += never_let_in(d, r->wish);
    buf_done(&r->requests);
    free(r->scans);
    r->scans = NULL;
}

void doors_round(struct doors *d, const struct round_wish *wish, struct round_score *ret_score)
{
    doors_begin(d, wish, ret_score);
    doors_end(d);
}

void round_write(struct round_score *score, struct json_writer *w, const char *key)
{
    json_w_kv_object(w, key);
    json_w_kv_i64(w, "scans", score->scans);
    json_w_kv_i64(w, "admitted", score->admitted);
    json_w_kv_i64(w, "already_admitted", score->again);
    json_w_kv_i64(w, "forged", score->forged);
    json_w_kv_i64(w, "wrong", score->wrong);
    json_w_kv_i64(w, "retries", score->retries);
    write_number(w, "seconds", score->seconds);
    write_number(w, "scans_per_s", score->seconds > 0 ? (double)score->scans / score->seconds : 0);
    samples_write(&score->times, w, "scan");
    if (score->late.count)
        samples_write(&score->late, w, "sent_late");
    cost_write(&score->cost, w);
    json_w_end(w);
}

void round_done(struct round_score *score)
{
    samples_done(&score->times);
    samples_done(&score->late);
}

const struct scan_promise *doors_promises(const struct doors *d, size_t *ret_count)
{
    *ret_count = d->promise_count;
    return d->promises;
}
