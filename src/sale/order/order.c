/* SPDX-License-Identifier: Apache-2.0 */
#include "sale/order/order.h"

#include <string.h>

#include "store/store/store_core.h"

/* An order on its way through one command: its row as it stands, its buyer, its lines. */
struct course {
    struct store_tx *tx;
    struct ledger *ledger;
    struct order_row order;
    struct order_buyer buyer;
    struct order_line lines[ORDER_LINES_MAX];
    size_t line_count;
    uint32_t places[ORDER_LINES_MAX]; /* of the lines */
};

static enum err course_load(struct course *c, struct order_id id)
{
    TRY(store_order_by_id(c->tx, id, &c->order));
    TRY(store_order_buyer(c->tx, c->order.account_no, &c->buyer));
    TRY(store_order_lines(c->tx, id, c->lines, &c->line_count));
    for (size_t i = 0; i < c->line_count; i++)
        c->places[i] = c->lines[i].place_no;
    return OK;
}

static enum err same_amount(struct money theirs, struct money ours)
{
    ENSURE(theirs.amount_minor == ours.amount_minor && currency_eq(theirs.currency, ours.currency),
           ERR_CONFLICT, "amount_mismatch", "The provider's amount is not ours.");
    return OK;
}

static void note_change(struct course *c, enum order_change change)
{
    store_note(c->tx, (struct store_note){.kind = NOTE_ORDER,
                                          .a = c->order.event_no,
                                          .b = change,
                                          .c = (int64_t)get_u64be(c->order.id.b),
                                          .d = (int64_t)get_u64be(c->order.id.b + 8)});
}

static void note_order(struct course *c)
{
    note_change(c, ORDER_CHANGE);
}

/* An entry about the order: names its row; the caller adds what is particular and appends. */
static void begin_entry(struct course *c, struct entry_draft *d, enum entry_kind kind)
{
    entry_begin(d, c->tx, kind, c->order.organiser_no, c->order.event_no);
    entry_id(d, FIELD_order, c->order.id.b);
    entry_person(d, FIELD_account, c->buyer.person_no, span_of(c->buyer.account.b, ID_BYTES));
    entry_names(d, AUDIT_sale_order, c->order.id.b);
}

static void name_payment(struct entry_draft *d, struct payment_id payment)
{
    entry_id(d, FIELD_payment, payment.b);
    entry_names(d, AUDIT_payment, payment.b);
}

static enum err set_status(struct course *c, enum order_status to)
{
    TRY(store_order_set_status(c->tx, &c->order, c->lines, c->line_count, to, store_now_ms(c->tx)));
    note_change(c, ORDER_CHANGE_ENDED);
    return OK;
}

static enum err touch(struct course *c)
{
    TRY(store_order_touch(c->tx, &c->order, c->lines, c->line_count));
    note_order(c);
    return OK;
}

/* What is particular of the attempt is filled already. */
static enum err insert_payment(struct course *c, struct payment_row *p)
{
    p->id = payment_id_make(store_clock(c->tx), store_rng(c->tx));
    p->order = c->order.id;
    p->organiser_no = c->order.organiser_no;
    p->amount = c->order.amount;
    p->created_ms = store_now_ms(c->tx);
    return store_payment_insert(c->tx, p);
}

/* Work for reach/notify. */
static enum err add_mail(struct course *c, const char *kind)
{
    struct job_id id = job_id_make(store_clock(c->tx), store_rng(c->tx));
    return store_job_add(c->tx, id, kind, c->order.id.b, store_now_ms(c->tx));
}

/* One ticket a line, and the mail that says so. The order's status is paid already. */
static enum err issue_tickets(struct course *c)
{
    struct ticket_row ticket;

    for (size_t i = 0; i < c->line_count; i++)
        TRY(ticket_issue(c->tx, c->ledger, &c->order, &c->buyer, &c->lines[i], &ticket));
    return add_mail(c, "mail.order_paid");
}

static enum err lines_from_hold(struct course *c, const struct hold *hold)
{
    struct money sum = {0, hold->total.currency};

    INVARIANT(hold->row.place_count <= ORDER_LINES_MAX,
              "a hold has no more places than an order has lines");
    c->line_count = hold->row.place_count;
    for (size_t i = 0; i < c->line_count; i++) {
        const struct place_price *p = &hold->prices[i];
        c->places[i] = hold->row.places[i];
        c->lines[i] =
            (struct order_line){hold->row.places[i], p->category, p->price_minor, p->fee_minor};
        TRY(money_add(sum, (struct money){p->price_minor, sum.currency}, &sum));
        TRY(money_add(sum, (struct money){p->fee_minor, sum.currency}, &sum));
    }
    ENSURE(sum.amount_minor <= MONEY_MINOR_MAX, ERR_LIMIT, "amount_too_large",
           "The order is too large.");
    c->order.amount = sum;
    return OK;
}

/* Closing an event ends its sale at once. The sale's last minute is the hold's: who holds by then may finish. */
static enum err check_on_sale(const struct event_facts *facts)
{
    ENSURE(facts->row.status == EVENT_ON_SALE, ERR_CONFLICT, "not_on_sale",
           "The event is not on sale any more.");
    return OK;
}

/* A used id: the same order again is answered with itself. */
static enum err placed_before(struct course *c, const struct order_request *req)
{
    ENSURE(c->order.account_no == req->account_no && hold_id_eq(c->order.hold, req->hold),
           ERR_CONFLICT, "id_reused", "This order id was used for another order.");
    return OK;
}

static enum err append_placed(struct course *c, const struct payment_row *payment)
{
    struct entry_draft d;

    begin_entry(c, &d, ENTRY_order_placed);
    entry_id(&d, FIELD_hold, c->order.hold.b);
    entry_money(&d, FIELD_amount, c->order.amount);
    entry_int(&d, FIELD_count, (int64_t)c->line_count);
    if (payment)
        name_payment(&d, payment->id);
    return ledger_append(c->tx, c->ledger, &d, NULL);
}

/* payment is NULL for a free order. */
static enum err append_paid(struct course *c, const struct payment_row *payment,
                            const char *intent_ref)
{
    struct entry_draft d;

    begin_entry(c, &d, ENTRY_order_paid);
    if (payment) {
        name_payment(&d, payment->id);
        entry_str(&d, FIELD_intent_ref, intent_ref);
    }
    entry_money(&d, FIELD_amount, c->order.amount);
    return ledger_append(c->tx, c->ledger, &d, NULL);
}

/* A hold ends by itself; an unpaid order keeps its places for a quarter of an hour, so there may not be many. */
static enum err check_waiting(struct store_tx *tx, int64_t account_no, int64_t event_no)
{
    int64_t count;

    TRY(store_order_count_waiting(tx, account_no, event_no, &count));
    ENSURE(count < ORDER_WAITING_MAX, ERR_LIMIT, "too_many_orders",
           "There are %d unpaid orders for this event already: pay or cancel one first.",
           ORDER_WAITING_MAX);
    return OK;
}

/* As much of it as a payment's title takes, not ending in the middle of a character. */
static void cut_title(const char *name, char ret_title[PAYMENT_TITLE_MAX])
{
    size_t n = strlen(name);

    if (n >= PAYMENT_TITLE_MAX) {
        n = PAYMENT_TITLE_MAX - 1;
        while (n > 0 && ((unsigned char)name[n] & 0xC0) == 0x80)
            n--;
    }
    memcpy(ret_title, name, n);
    ret_title[n] = '\0';
}

/* Why not due at once: whoever placed the order has settlement make the session. */
static enum err insert_first_attempt(struct course *c, const struct order_request *req,
                                     const struct event_facts *facts, struct payment_row *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->attempt = 1;
    ret->next_ms = store_now_ms(c->tx) + ORDER_ASK_MS;
    cut_title(facts->row.name, ret->title);
    ENSURE(strlen(req->return_origin) < sizeof ret->return_origin, ERR_LIMIT, "origin_too_long",
           "The address of our own page is too long.");
    (void)snprintf(ret->return_origin, sizeof ret->return_origin, "%s", req->return_origin);
    return insert_payment(c, ret);
}

/* The row and its lines. */
static enum err insert_order(struct course *c, const struct order_request *req, struct hold *hold)
{
    int64_t now_ms = store_now_ms(c->tx);
    bool free_order = c->order.amount.amount_minor == 0;

    c->order.id = req->id;
    c->order.organiser_no = hold->row.organiser_no;
    c->order.event_no = hold->row.event_no;
    c->order.account_no = req->account_no;
    c->order.hold = req->hold;
    c->order.status = free_order ? ORDER_PAID : ORDER_AWAITING;
    c->order.created_ms = now_ms;
    c->order.pay_until_ms = now_ms + ORDER_PAY_MS;
    c->order.ended_ms = free_order ? now_ms : 0;
    c->order.version = 1;
    TRY(hold_take(c->tx, hold, req->id));
    TRY(store_order_insert(c->tx, &c->order, c->lines, c->line_count));
    note_order(c);
    return OK;
}

enum err order_place(struct store_tx *tx, struct ledger *ledger, struct seat_maps *maps,
                     const struct order_request *req, struct order_placed *ret_placed)
{
    struct course c = {.tx = tx, .ledger = ledger};
    struct event_facts *facts;
    struct hold hold;
    enum err found = store_order_by_id(tx, req->id, &c.order);

    if (found == OK) {
        TRY(placed_before(&c, req));
        ret_placed->order = c.order;
        ret_placed->before = true;
        return OK;
    }
    if (found != ERR_NOT_FOUND)
        return found;
    TRY(hold_for_order(tx, maps, req->hold, req->account_no, &hold, &facts));
    TRY(check_on_sale(facts));
    TRY(lines_from_hold(&c, &hold));
    TRY(store_order_buyer(tx, req->account_no, &c.buyer));
    bool free_order = c.order.amount.amount_minor == 0;
    if (!free_order)
        TRY(check_waiting(tx, req->account_no, hold.row.event_no));
    TRY(insert_order(&c, req, &hold));
    if (!free_order)
        TRY(insert_first_attempt(&c, req, facts, &ret_placed->payment));
    TRY(append_placed(&c, free_order ? NULL : &ret_placed->payment));
    if (free_order) {
        TRY(append_paid(&c, NULL, NULL));
        TRY(issue_tickets(&c));
    }
    ret_placed->order = c.order;
    ret_placed->before = false;
    memcpy(ret_placed->lines, c.lines, c.line_count * sizeof c.lines[0]);
    ret_placed->line_count = c.line_count;
    ret_placed->facts = facts;
    return OK;
}

enum err order_cancel(struct store_tx *tx, struct ledger *ledger, struct order_id id,
                      int64_t account_no, struct order_row *ret_order)
{
    struct course c = {.tx = tx, .ledger = ledger};
    struct payment_row payment;
    struct entry_draft d;
    bool first;

    TRY(course_load(&c, id));
    ENSURE(c.order.account_no == account_no, ERR_NOT_FOUND, "no_order", "There is no such order.");
    ENSURE(c.order.status == ORDER_AWAITING, ERR_CONFLICT, "order_state",
           "The order is %s and cannot be cancelled.", order_status_name(c.order.status));
    TRY(store_order_set_cancel(tx, id, &first));
    if (first) {
        TRY(store_payment_newest(tx, id, &payment));
        TRY(store_payment_later(tx, payment.id, store_now_ms(tx)));
        begin_entry(&c, &d, ENTRY_order_cancelled);
        entry_str(&d, FIELD_status, "asked");
        TRY(ledger_append(tx, ledger, &d, NULL));
        note_order(&c);
    }
    return store_order_by_id(tx, id, ret_order);
}

/* The order ends without money: its places are free again. The payment row is named by the caller's entry. */
static enum err end_unpaid(struct course *c, const struct payment_row *payment,
                           enum payment_state state)
{
    bool cancelled = c->order.cancel_ms != 0;
    struct entry_draft d;

    TRY(store_payment_set_ended(c->tx, payment->id, state));
    TRY(hold_free_order_places(c->tx, c->order.event_no, c->places, c->line_count, c->order.id));
    TRY(set_status(c, cancelled ? ORDER_CANCELLED : ORDER_EXPIRED));
    begin_entry(c, &d, cancelled ? ENTRY_order_cancelled : ENTRY_order_expired);
    name_payment(&d, payment->id);
    entry_str(&d, FIELD_status, payment_state_name(state));
    return ledger_append(c->tx, c->ledger, &d, NULL);
}

enum err order_session_failed(struct store_tx *tx, struct ledger *ledger, struct payment_id id,
                              bool again, int64_t next_ms)
{
    struct course c = {.tx = tx, .ledger = ledger};
    struct payment_row payment, fresh;
    struct entry_draft d;

    TRY(store_payment_by_id(tx, id, &payment));
    if (payment.state != PAYMENT_OPEN)
        return OK;
    TRY(course_load(&c, payment.order));
    if (!again || order_is_to_end(&c.order, store_now_ms(tx)))
        return end_unpaid(&c, &payment, PAYMENT_FAILED);
    TRY(store_payment_set_ended(tx, id, PAYMENT_FAILED));
    fresh = payment; /* its words */
    fresh.attempt++;
    fresh.tries = 0;
    fresh.next_ms = next_ms;
    TRY(insert_payment(&c, &fresh));
    begin_entry(&c, &d, ENTRY_payment_state);
    name_payment(&d, id);
    entry_names(&d, AUDIT_payment, fresh.id.b);
    entry_str(&d, FIELD_status, payment_state_name(PAYMENT_FAILED));
    entry_int(&d, FIELD_attempt, payment.attempt + 1);
    return ledger_append(tx, ledger, &d, NULL);
}

enum err order_session_over(struct store_tx *tx, struct ledger *ledger, struct payment_id id)
{
    struct course c = {.tx = tx, .ledger = ledger};
    struct payment_row payment;

    TRY(store_payment_by_id(tx, id, &payment));
    if (payment.state != PAYMENT_OPEN)
        return OK;
    TRY(course_load(&c, payment.order));
    return end_unpaid(&c, &payment, PAYMENT_EXPIRED);
}

static enum err book_capture(struct course *c, const struct payment_row *payment)
{
    int64_t price = 0, fee = 0;

    for (size_t i = 0; i < c->line_count; i++) {
        price += c->lines[i].price_minor;
        fee += c->lines[i].fee_minor;
    }
    /* Why no assertion: rows altered by hand must not end the process each time the provider tells us again. */
    ENSURE(price + fee == c->order.amount.amount_minor, ERR_CORRUPT, "bad_order",
           "The lines of an order do not sum to its amount.");
    const struct posting_line lines[] = {
        {"provider", c->order.amount.amount_minor}, {"sales", -price}, {"fees", -fee}};
    return store_posting_book(c->tx, payment->id.b, c->order.id, c->order.amount.currency, lines,
                              COUNT_OF(lines));
}

static enum err pay(struct course *c, const struct payment_row *payment, const char *intent_ref)
{
    TRY(book_capture(c, payment));
    TRY(set_status(c, ORDER_PAID));
    TRY(append_paid(c, payment, intent_ref));
    return issue_tickets(c);
}

/* O4: money that came too late and found its places taken goes back, all of it. */
static enum err return_late_money(struct course *c, const struct payment_row *payment,
                                  const char *intent_ref)
{
    struct money amount = c->order.amount;
    struct refund_row refund = {.id = refund_id_make(store_clock(c->tx), store_rng(c->tx)),
                                .payment = payment->id,
                                .order = c->order.id,
                                .organiser_no = c->order.organiser_no,
                                .amount = amount,
                                .reason = "late_payment"};
    const struct posting_line lines[] = {{"provider", amount.amount_minor},
                                         {"late_money", -amount.amount_minor}};
    struct entry_draft d;

    TRY(store_posting_book(c->tx, payment->id.b, c->order.id, amount.currency, lines,
                           COUNT_OF(lines)));
    TRY(store_refund_insert(c->tx, &refund));
    TRY(store_payment_add_refunded(c->tx, payment->id, amount.amount_minor));
    TRY(touch(c));
    begin_entry(c, &d, ENTRY_refund_asked);
    name_payment(&d, payment->id);
    entry_id(&d, FIELD_refund, refund.id.b);
    entry_names(&d, AUDIT_refund, refund.id.b);
    entry_str(&d, FIELD_intent_ref, intent_ref);
    entry_str(&d, FIELD_reason, refund.reason);
    entry_money(&d, FIELD_amount, amount);
    TRY(ledger_append(c->tx, c->ledger, &d, NULL));
    return add_mail(c, "mail.late_money");
}

static enum err settle(struct course *c, const struct payment_row *payment,
                       const struct stripe_session *s)
{
    TRY(store_payment_set_captured(c->tx, payment, s->ref, s->intent_ref, s->amount.amount_minor));
    if (c->order.status == ORDER_AWAITING)
        return pay(c, payment, s->intent_ref);
    INVARIANT(c->order.status == ORDER_CANCELLED || c->order.status == ORDER_EXPIRED,
              "money is captured once, so the order either waits for it or has ended without it");
    enum err e = hold_retake(c->tx, c->order.event_no, c->places, c->line_count, c->order.id);
    if (e == ERR_CONFLICT)
        return return_late_money(c, payment, s->intent_ref);
    TRY(e);
    return pay(c, payment, s->intent_ref);
}

enum err order_session_says(struct store_tx *tx, struct ledger *ledger,
                            const struct stripe_session *s)
{
    struct course c = {.tx = tx, .ledger = ledger};
    struct payment_row payment;
    struct payment_id id;

    ENSURE(payment_id_parse(span_text(s->client_reference), &id) == OK, ERR_NOT_FOUND, "no_payment",
           "The session is not one of ours.");
    TRY(store_payment_by_id(tx, id, &payment));
    TRY(same_amount(s->amount, payment.amount));
    ENSURE(!s->paid || payment.state != PAYMENT_FAILED, ERR_CONFLICT, "payment_given_up",
           "Money came for an attempt that was given up.");
    if (payment.state == PAYMENT_CAPTURED)
        return OK;
    TRY(course_load(&c, payment.order));
    if (s->paid)
        return settle(&c, &payment, s);
    if (s->status == STRIPE_EXPIRED && payment.state == PAYMENT_OPEN)
        return end_unpaid(&c, &payment, PAYMENT_EXPIRED);
    if (payment.state != PAYMENT_OPEN)
        return OK;
    /* Why: the question may be older than the wish to end it, whose next look it must not put off. */
    int64_t now_ms = store_now_ms(tx);
    return store_payment_answered(
        tx, payment.id, now_ms + (order_is_to_end(&c.order, now_ms) ? ORDER_END_MS : ORDER_ASK_MS));
}

bool order_is_to_end(const struct order_row *o, int64_t now_ms)
{
    return o->cancel_ms != 0 || o->pay_until_ms <= now_ms;
}

bool order_wants_person(enum err e)
{
    return e == ERR_CONFLICT && (strcmp(err_last()->slug, "amount_mismatch") == 0 ||
                                 strcmp(err_last()->slug, "payment_given_up") == 0);
}

static enum err finish_refund(struct course *c, const struct refund_row *refund,
                              const char *refund_ref)
{
    const struct posting_line lines[] = {{"provider", -refund->amount.amount_minor},
                                         {"late_money", refund->amount.amount_minor}};
    struct entry_draft d;

    TRY(store_posting_book(c->tx, refund->id.b, c->order.id, refund->amount.currency, lines,
                           COUNT_OF(lines)));
    TRY(store_refund_set_state(c->tx, refund->id, REFUND_DONE, refund_ref));
    TRY(touch(c));
    begin_entry(c, &d, ENTRY_refund_done);
    entry_id(&d, FIELD_refund, refund->id.b);
    entry_names(&d, AUDIT_refund, refund->id.b);
    entry_str(&d, FIELD_refund_ref, refund_ref);
    return ledger_append(c->tx, c->ledger, &d, NULL);
}

/* The money is still here, and the payment says so: the audit then names it until somebody has given it back. */
static enum err fail_refund(struct course *c, const struct refund_row *refund,
                            const char *refund_ref)
{
    struct entry_draft d;

    TRY(store_refund_set_state(c->tx, refund->id, REFUND_FAILED, refund_ref));
    TRY(store_payment_add_refunded(c->tx, refund->payment, -refund->amount.amount_minor));
    TRY(touch(c));
    begin_entry(c, &d, ENTRY_refund_failed);
    name_payment(&d, refund->payment);
    entry_id(&d, FIELD_refund, refund->id.b);
    entry_names(&d, AUDIT_refund, refund->id.b);
    return ledger_append(c->tx, c->ledger, &d, NULL);
}

enum err order_refund_says(struct store_tx *tx, struct ledger *ledger, struct refund_id id,
                           const struct stripe_refund *answer)
{
    struct course c = {.tx = tx, .ledger = ledger};
    struct refund_row refund;

    TRY(store_refund_by_id(tx, id, &refund));
    if (refund.state != REFUND_ASKED)
        return OK;
    TRY(course_load(&c, refund.order));
    if (answer->done)
        TRY(same_amount(answer->amount, refund.amount));
    if (answer->done)
        return finish_refund(&c, &refund, answer->ref);
    if (answer->failed)
        return fail_refund(&c, &refund, answer->ref);
    return store_refund_later(tx, id, store_now_ms(tx) + ORDER_ASK_MS);
}
