/* SPDX-License-Identifier: Apache-2.0 */
/* settlement - the thread: what is due, who came back, and the sweeps. */
#include "reach/settlement/settlement.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reach/settlement/inner.h"

enum {
    CALL_MS = 20000,
    SWEEP_MS = 5000, /* it goes through all live holds */
    ASK_AGAIN_MS = 2000,
    ANSWERS_SWEPT = 500,
    FLIGHTS_KEPT = 32, /* not for offers */
};

static int64_t mono(void)
{
    return clock_mono_ms(clock_system());
}

/* --- Who asks -------------------------------------------------------------------------------------------------------- */

static uint64_t *asked_bucket(struct settlement *s, struct order_id order)
{
    return &s->asked_newest[get_u16be(&order.b[ID_BYTES - 2]) % ASKED_BUCKETS];
}

/* Under the lock. It waits for its turn, or had it a moment ago. */
static bool is_asked(struct settlement *s, struct order_id order, bool page, int64_t now_ms)
{
    uint64_t next;

    for (uint64_t n = *asked_bucket(s, order); n > 0 && n + ASKED_MAX > s->asked_end; n = next) {
        const struct asked *a = &s->asked[(n - 1) % ASKED_MAX];
        next = a->older;
        if (n - 1 < s->asked_first && now_ms - a->at_ms >= ASK_AGAIN_MS)
            return false; /* nor is any before it */
        if (order_id_eq(a->order, order) && (page || !a->page))
            return true;
    }
    return false;
}

/* Under the lock. Nobody is pushed out who was first. */
static bool give_turn(struct settlement *s, struct order_id order, bool page, int64_t now_ms)
{
    uint64_t *newest = asked_bucket(s, order);

    if (s->asked_end - s->asked_first == ASKED_MAX)
        return false;
    s->asked[s->asked_end % ASKED_MAX] = (struct asked){order, now_ms, page, *newest};
    *newest = ++s->asked_end;
    return true;
}

/* --- Payments and refunds -------------------------------------------------------------------------------------------- */

static void fail_attempt(struct flight *f, bool again)
{
    f->again = again;
    f->wait_ms = 0;
    flight_submit(f, DEED_FAILED);
}

/* Where somebody waits, it has its turn at the next look when the courier has too much now. */
static void ask_or_keep_turn(struct settlement *s, struct flight *f,
                             const struct payment_row *attempt)
{
    struct order_id order = f->order;
    bool asked = f->asked, page = !f->due;

    if (flight_ask(f, attempt, NULL) != ERR_BUSY || !asked)
        return;
    pthread_mutex_lock(&s->lock);
    bool taken = give_turn(s, order, page, mono());
    pthread_mutex_unlock(&s->lock);
    if (!taken)
        log_warn("too many wait for the payment provider");
}

/* The session is not known here. */
static void drive_unknown(struct settlement *s, struct flight *f, const struct payment_row *p,
                          int64_t now_ms)
{
    f->seen = checkouts_may_miss(s->checkouts, p->id);
    f->tries += p->attempt - 1;
    if (!f->seen && (f->over || !s->config.provider)) {
        fail_attempt(f, false);
    } else if (p->created_ms + STRIPE_KEY_KEPT_MS <= now_ms) {
        flight_submit(f, DEED_OVER);
    } else if (s->config.provider) {
        f->question = ASK_CREATE;
        ask_or_keep_turn(s, f, p);
    } else {
        flight_later(f, 0);
    }
}

static void know_attempt(struct flight *f, const struct payment_row *p, int64_t event_no)
{
    f->order = p->order;
    f->amount = p->amount;
    f->tries = p->tries;
    f->organiser_no = p->organiser_no;
    f->event_no = event_no;
    f->until_ms = p->created_ms + ORDER_SESSION_MS;
}

static enum err drive_payment(struct settlement *s, struct store_tx *tx, struct flight *f)
{
    struct checkout known;
    struct payment_id id;
    struct payment_row p;
    struct order_row o;

    memcpy(id.b, f->id, ID_BYTES);
    TRY(store_payment_by_id(tx, id, &p));
    TRY(store_order_by_id(tx, p.order, &o));
    if (p.state != PAYMENT_OPEN) {
        flight_end(f);
        return OK;
    }
    know_attempt(f, &p, o.event_no);
    f->over = order_is_to_end(&o, store_now_ms(tx));
    f->question = f->over ? ASK_EXPIRE : ASK_STATE;
    if (!checkouts_find(s->checkouts, o.id, &known) || !payment_id_eq(known.payment, p.id)) {
        drive_unknown(s, f, &p, store_now_ms(tx));
    } else {
        (void)snprintf(f->session_ref, sizeof f->session_ref, "%s", known.session_ref);
        ask_or_keep_turn(s, f, NULL);
    }
    return OK;
}

static enum err drive_refund(struct store_tx *tx, struct flight *f)
{
    struct refund_id id;
    struct refund_row r;
    struct order_row o;

    memcpy(id.b, f->id, ID_BYTES);
    TRY(store_refund_by_id(tx, id, &r));
    TRY(store_order_by_id(tx, r.order, &o));
    if (r.state != REFUND_ASKED) {
        flight_end(f);
        return OK;
    }
    f->question = ASK_REFUND;
    f->amount = r.amount;
    f->tries = r.tries;
    f->organiser_no = r.organiser_no;
    f->event_no = o.event_no;
    (void)flight_ask(f, NULL, r.intent_ref);
    return OK;
}

/* A flight for a payment or refund that a snapshot says is to be looked at. asked: by whom, or NULL. */
static void choose(struct settlement *s, const uint8_t id[ID_BYTES], bool refund,
                   const struct asked *asked)
{
    struct flight *f = s->chosen_count < COUNT_OF(s->chosen) ? flight_begin(s, id) : NULL;

    if (!f)
        return;
    f->asked = asked != NULL;
    f->due = !asked || !asked->page;
    s->chosen[s->chosen_count].flight = f;
    s->chosen[s->chosen_count++].refund = refund;
}

static enum err choose_due(struct settlement *s, struct store_tx *tx)
{
    size_t count;

    TRY(store_payments_due(tx, store_now_ms(tx), s->payments, COUNT_OF(s->payments), &count));
    for (size_t i = 0; i < count; i++)
        choose(s, s->payments[i].b, false, NULL);
    TRY(store_refunds_due(tx, store_now_ms(tx), s->refunds, COUNT_OF(s->refunds), &count));
    for (size_t i = 0; i < count && s->config.provider; i++)
        choose(s, s->refunds[i].b, true, NULL);
    return OK;
}

/*
 * Why in a later snapshot than they were chosen in: the command of an earlier flight may have come in between, and what it made of the
 * payment must be seen. From flight_begin on none can (T1).
 */
static enum err drive_chosen(struct settlement *s)
{
    struct store_tx *tx = NULL;
    enum err e = store_read_begin(s->reader, &tx);
    bool begun = e == OK;

    for (size_t i = 0; i < s->chosen_count; i++) {
        struct flight *f = s->chosen[i].flight;
        enum err code = e;
        if (code == OK)
            code = s->chosen[i].refund ? drive_refund(tx, f) : drive_payment(s, tx, f);
        if (code != OK) /* its rows could not be read: it was not asked */
            flight_end(f);
        if (e == OK)
            e = code;
    }
    if (begun)
        store_read_end(tx);
    s->chosen_count = 0;
    return e;
}

/* --- Buyers who came back -------------------------------------------------------------------------------------------- */

/* While there is room for its flight. */
static bool next_asked(struct settlement *s, struct asked *ret)
{
    pthread_mutex_lock(&s->lock);
    bool found = s->asked_first < s->asked_end && s->flight_count < s->config.calls_max;
    if (found)
        *ret = s->asked[s->asked_first++ % ASKED_MAX];
    pthread_mutex_unlock(&s->lock);
    return found;
}

static enum err choose_asked(struct settlement *s, struct store_tx *tx)
{
    char url[STRIPE_URL_MAX];
    struct payment_row p;
    struct asked asked;

    while (next_asked(s, &asked)) {
        bool known = settlement_page(s, asked.order, url);
        if (asked.page && known)
            continue;
        enum err e = store_payment_newest(tx, asked.order, &p);
        if (e == ERR_NOT_FOUND)
            continue;
        TRY(e);
        bool waits = !known && (p.attempt > 1 || p.tries > 0) && p.next_ms > store_now_ms(tx);
        if (p.state == PAYMENT_OPEN && !waits) /* the provider said when to come again */
            choose(s, p.id.b, false, &asked);
    }
    return OK;
}

/* --- Sweeps ---------------------------------------------------------------------------------------------------------- */

struct sweep {
    struct command command; /* first */
    struct settlement *s;
};

static enum err do_sweep(struct store_tx *tx, struct command *c)
{
    size_t holds;
    int64_t answers;

    (void)c;
    TRY(hold_sweep(tx, &holds));
    return store_idempotency_expire(tx, ANSWERS_SWEPT, &answers);
}

static void end_sweep(struct sweep *w)
{
    struct settlement *s = w->s;

    pthread_mutex_lock(&s->lock);
    s->sweeping = false;
    pthread_mutex_unlock(&s->lock);
    free(w);
    settlement_drop_reference(s);
}

static void sweep_done(struct command *c, const struct err_info *error)
{
    if (error)
        log_error_info(LOG_ERROR, "sweeping", error);
    end_sweep((struct sweep *)c);
}

static void sweep(struct settlement *s)
{
    if (s->swept_ms && mono() - s->swept_ms < SWEEP_MS)
        return;
    s->swept_ms = mono();
    struct sweep *w = calloc(1, sizeof *w);
    if (!w)
        return;
    *w = (struct sweep){{.run = do_sweep, .done = sweep_done, .lane = LANE_BACK}, s};
    pthread_mutex_lock(&s->lock);
    bool busy = s->sweeping || s->stopped;
    if (!busy) {
        s->references++;
        s->sweeping = true;
        busy = writer_submit(s->config.writer, &w->command) != OK;
        if (busy) {
            s->references--;
            s->sweeping = false;
        }
    }
    pthread_mutex_unlock(&s->lock);
    if (busy)
        free(w);
}

/* --- The thread ------------------------------------------------------------------------------------------------------ */

/* Answers that found the writer's queue full. */
static void submit_waiting(struct settlement *s)
{
    struct flight *next;

    pthread_mutex_lock(&s->lock);
    for (struct flight *f = flight_next(s, NULL); f && !s->stopped; f = next) {
        next = flight_next(s, f);
        if (!f->waits)
            continue;
        f->waits = false; /* before: the writer may end the flight as soon as it has it */
        if (writer_submit(s->config.writer, &f->command) != OK) {
            f->waits = true; /* until the next look */
            break;
        }
    }
    pthread_mutex_unlock(&s->lock);
}

static void ask_waiting(struct settlement *s)
{
    for (;;) {
        pthread_mutex_lock(&s->lock);
        struct flight *f = flight_next(s, NULL);
        while (f && !f->ask_soon)
            f = flight_next(s, f);
        if (f)
            f->ask_soon = false;
        bool stopped = s->stopped;
        pthread_mutex_unlock(&s->lock);
        if (!f)
            return;
        if (stopped)
            flight_end(f);
        else
            (void)flight_ask(f, NULL, NULL);
    }
}

/*
 * Under the lock. Offers keep their turn while enough is in flight: left to the rows they would be passed by whoever comes later.
 */
static bool may_take_offer(const struct settlement *s)
{
    return s->offer_count > 0 && s->flight_count < s->offer_flights_max && !s->stopped;
}

static bool next_offer(struct settlement *s, struct offer *ret_offer)
{
    pthread_mutex_lock(&s->lock);
    bool found = may_take_offer(s);
    if (found) {
        *ret_offer = s->offers[s->offers_first];
        s->offers_first = (s->offers_first + 1) % OFFERS_MAX;
        s->offer_count--;
    }
    pthread_mutex_unlock(&s->lock);
    return found;
}

/* Its turn is the next again; false when its place was taken meanwhile. */
static bool put_back(struct settlement *s, const struct offer *o)
{
    pthread_mutex_lock(&s->lock);
    bool room = s->offer_count < OFFERS_MAX;
    if (room) {
        s->offers_first = (s->offers_first + OFFERS_MAX - 1) % OFFERS_MAX;
        s->offers[s->offers_first] = *o;
        s->offers[s->offers_first].taken = false;
        s->offer_count++;
    }
    pthread_mutex_unlock(&s->lock);
    return room;
}

/* First attempts, as their orders are committed. Until the next look, when the courier has too much. */
static void drive_offers(struct settlement *s)
{
    struct offer o;
    enum err e = OK;

    while (e != ERR_BUSY && next_offer(s, &o)) {
        struct flight *f = o.taken ? NULL : flight_begin(s, o.attempt.id.b);
        if (!f)
            continue; /* found in the rows already, or to be found there */
        f->question = ASK_CREATE;
        know_attempt(f, &o.attempt, o.event_no);
        if (s->config.provider)
            e = flight_ask(f, &o.attempt, NULL);
        else
            fail_attempt(f, false);
    }
    s->courier_busy = e == ERR_BUSY;
    if (s->courier_busy && !put_back(s, &o) && !settlement_want_page(s, o.attempt.order))
        log_warn("too many wait for the payment provider");
}

static enum err look(struct settlement *s)
{
    struct store_tx *tx;

    TRY(store_read_begin(s->reader, &tx));
    enum err e = choose_due(s, tx);
    if (e == OK)
        e = choose_asked(s, tx);
    store_read_end(tx);
    enum err driven = s->chosen_count ? drive_chosen(s) : OK;
    return e != OK ? e : driven;
}

/* What there is to do. */
struct work {
    bool look, mail, stirred, stopped;
};

static struct work wait_for_work(struct settlement *s)
{
    int64_t at_ms = s->looked_ms + SETTLEMENT_LOOK_MS;
    const struct timespec until = {.tv_sec = at_ms / 1000, .tv_nsec = (at_ms % 1000) * 1000000};
    struct work w = {0};

    pthread_mutex_lock(&s->lock);
    while (!s->woken && !s->mail_due && !s->stirred && !s->stopped && !w.look &&
           (s->courier_busy || !may_take_offer(s)))
        w.look = pthread_cond_timedwait(&s->some, &s->lock, &until) == ETIMEDOUT;
    w.look = w.look || s->woken || mono() >= at_ms;
    w.mail = s->mail_due || w.look;
    w.stirred = s->stirred;
    w.stopped = s->stopped;
    s->woken = s->mail_due = s->stirred = false;
    pthread_mutex_unlock(&s->lock);
    return w;
}

static void do_work(struct settlement *s, const struct work *w)
{
    enum err e = OK;

    if (w->stirred || w->look) {
        submit_waiting(s);
        ask_waiting(s);
    }
    if (!s->courier_busy || w->look)
        drive_offers(s);
    if (w->look) {
        s->looked_ms = mono();
        e = look(s);
    }
    if (e == OK && w->mail && s->config.mail)
        e = notify_run(s->notify, s->reader);
    if (e != OK)
        log_error_info(LOG_ERROR, "settlement", err_last());
    if (w->look)
        sweep(s);
}

static void *run(void *context)
{
    struct settlement *s = context;
    struct work w = {.look = true, .mail = true};

    do {
        do_work(s, &w);
        w = wait_for_work(s);
    } while (!w.stopped);
    return NULL;
}

/* From when on an attempt is this process's own. The clock may have been set back since the last one was made. */
static enum err nobody_seen_since(struct store_tx *tx, int64_t *ret_ms)
{
    struct payment_id last;
    enum err e = store_payment_last(tx, &last);

    *ret_ms = store_now_ms(tx);
    if (e == ERR_NOT_FOUND)
        return OK;
    TRY(e);
    if (id_made_ms(last.b) >= *ret_ms)
        *ret_ms = id_made_ms(last.b) + 1;
    return OK;
}

static enum err set_up(struct settlement *s)
{
    const struct settlement_config *c = &s->config;
    const struct notify_config notify = {.writer = c->writer,
                                         .keyring = c->keyring,
                                         .courier = c->courier,
                                         .maps = c->maps,
                                         .origin = c->origin,
                                         .mail_from = c->mail_from,
                                         .zoneinfo_dir = c->zoneinfo_dir};
    struct store_tx *tx;

    TRY(store_reader_open(c->store, &s->reader));
    TRY(store_read_begin(s->reader, &tx));
    int64_t since_ms;
    enum err e = nobody_seen_since(tx, &since_ms);
    store_read_end(tx);
    TRY(e);
    TRY(checkouts_new(since_ms, CHECKOUTS_MAX, &s->checkouts));
    TRY(notify_new(&notify, &s->notify));
    return thread_start(&s->thread, "settlement", run, s);
}

enum err settlement_start(const struct settlement_config *config, struct settlement **ret)
{
    struct settlement *s = calloc(1, sizeof *s);
    pthread_condattr_t attr;

    ENSURE(s, ERR_NOMEM, "no_memory", "No memory.");
    s->config = *config;
    if (s->config.calls_max == 0 || s->config.calls_max > SETTLEMENT_CALLS_MAX)
        s->config.calls_max = SETTLEMENT_CALLS_MAX;
    /* What is due, refunds and sessions to be expired among it, finds room beside any number of new orders. */
    s->offer_flights_max =
        s->config.calls_max - (s->config.calls_max > 2 * FLIGHTS_KEPT ? FLIGHTS_KEPT : 0);
    if (s->config.call_ms <= 0)
        s->config.call_ms = CALL_MS;
    s->references = 1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->telling, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->some, &attr);
    pthread_condattr_destroy(&attr);
    enum err e = set_up(s);
    if (e != OK) {
        settlement_free(s);
        return e;
    }
    courier_on_rest(s->config.courier, settlement_rested, s);
    *ret = s;
    return OK;
}

void settlement_stop(struct settlement *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stopped = true;
    pthread_cond_signal(&s->some);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    pthread_mutex_lock(&s->telling);
    s->silent = true;
    pthread_mutex_unlock(&s->telling);
    settlement_rested(s);
    courier_on_rest(s->config.courier, NULL, NULL);
    /* Flights that wait for the thread end here; others when their answers come. */
    for (;;) {
        pthread_mutex_lock(&s->lock);
        struct flight *f = flight_next(s, NULL);
        while (f && !f->waits && !f->ask_soon)
            f = flight_next(s, f);
        pthread_mutex_unlock(&s->lock);
        if (!f)
            break;
        flight_end(f);
    }
}

void settlement_free(struct settlement *s)
{
    if (!s)
        return;
    notify_free(s->notify);
    store_reader_close(s->reader);
    s->notify = NULL;
    s->reader = NULL;
    settlement_drop_reference(s);
}

static void wake(struct settlement *s, bool *what)
{
    pthread_mutex_lock(&s->lock);
    *what = true;
    pthread_cond_signal(&s->some);
    pthread_mutex_unlock(&s->lock);
}

void settlement_wake(struct settlement *s)
{
    if (s)
        wake(s, &s->woken);
}

void settlement_wake_mail(struct settlement *s)
{
    if (s && s->config.mail)
        wake(s, &s->mail_due);
}

bool settlement_offer(struct settlement *s, const struct payment_row *attempt, int64_t event_no)
{
    if (!s)
        return false;
    pthread_mutex_lock(&s->lock);
    bool out = flight_is_out(s, attempt->id.b),
         room = s->offer_count < OFFERS_MAX && !s->stopped && !out;
    if (room) {
        s->offers[(s->offers_first + s->offer_count++) % OFFERS_MAX] =
            (struct offer){.attempt = *attempt, .event_no = event_no};
        pthread_cond_signal(&s->some);
    }
    pthread_mutex_unlock(&s->lock);
    return room || out;
}

static bool ask_for(struct settlement *s, struct order_id order, bool page)
{
    int64_t now_ms = mono();

    pthread_mutex_lock(&s->lock);
    bool there = is_asked(s, order, page, now_ms),
         taken = !there && give_turn(s, order, page, now_ms);
    if (taken) {
        s->woken = true;
        pthread_cond_signal(&s->some);
    }
    pthread_mutex_unlock(&s->lock);
    return there || taken;
}

bool settlement_ask_now(struct settlement *s, struct order_id order)
{
    return !s || ask_for(s, order, false);
}

bool settlement_want_page(struct settlement *s, struct order_id order)
{
    return !s || ask_for(s, order, true);
}

bool settlement_page(struct settlement *s, struct order_id order, char ret_url[STRIPE_URL_MAX])
{
    struct checkout known;

    if (!s || !checkouts_find(s->checkouts, order, &known))
        return false;
    (void)snprintf(ret_url, STRIPE_URL_MAX, "%s", known.url);
    return true;
}

void settlement_committed(struct settlement *s, const struct store_note *notes, size_t count)
{
    for (size_t i = 0; s && i < count; i++)
        if (notes[i].kind == NOTE_ORDER && notes[i].b == ORDER_CHANGE_ENDED)
            checkouts_forget(s->checkouts, note_order_id(notes[i].c, notes[i].d));
}
