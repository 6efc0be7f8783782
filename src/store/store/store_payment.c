/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store/store_payment.h"

#include <string.h>

#include "store/store/internal.h"

static const char *const payment_states[] = {"open", "captured", "expired", "failed"};
static const char *const refund_states[] = {"asked", "done", "failed"};

const char *payment_state_name(enum payment_state state)
{
    return payment_states[state];
}

const char *refund_state_name(enum refund_state state)
{
    return refund_states[state];
}

static enum err find_word(struct span text, const char *const *words, size_t count,
                          size_t *ret_index)
{
    for (size_t i = 0; i < count; i++)
        if (span_eq_text(text, words[i])) {
            *ret_index = i;
            return OK;
        }
    FAIL(ERR_CORRUPT, "bad_row", "A row holds a state that this program does not know.");
}

static enum err read_text(struct store_rows *rows, int column, char *out, size_t size)
{
    out[0] = '\0';
    return store_is_null(rows, column) ? OK : span_to_text(store_text(rows, column), out, size);
}

static enum err read_payment(struct store_rows *rows, struct payment_row *p)
{
    size_t state;

    memset(p, 0, sizeof *p);
    store_id(rows, 0, p->id.b);
    store_id(rows, 1, p->order.b);
    p->organiser_no = store_int(rows, 2);
    p->attempt = store_int(rows, 3);
    TRY(find_word(store_text(rows, 4), payment_states, COUNT_OF(payment_states), &state));
    p->state = (enum payment_state)state;
    TRY(read_text(rows, 5, p->session_ref, sizeof p->session_ref));
    TRY(read_text(rows, 6, p->intent_ref, sizeof p->intent_ref));
    p->amount.amount_minor = store_int(rows, 7);
    TRY(currency_parse(store_text(rows, 8), &p->amount.currency));
    p->captured_minor = store_int(rows, 9);
    p->refunded_minor = store_int(rows, 10);
    p->tries = store_int(rows, 11);
    p->next_ms = store_int(rows, 12);
    p->created_ms = store_int(rows, 13);
    TRY(read_text(rows, 14, p->title, sizeof p->title));
    TRY(read_text(rows, 15, p->return_origin, sizeof p->return_origin));
    return OK;
}

static enum err read_refund(struct store_rows *rows, struct refund_row *r)
{
    size_t state;

    memset(r, 0, sizeof *r);
    store_id(rows, 0, r->id.b);
    store_id(rows, 1, r->payment.b);
    store_id(rows, 2, r->order.b);
    r->organiser_no = store_int(rows, 3);
    r->amount.amount_minor = store_int(rows, 4);
    TRY(read_text(rows, 5, r->reason, sizeof r->reason));
    TRY(find_word(store_text(rows, 6), refund_states, COUNT_OF(refund_states), &state));
    r->state = (enum refund_state)state;
    TRY(read_text(rows, 7, r->refund_ref, sizeof r->refund_ref));
    r->tries = store_int(rows, 8);
    TRY(read_text(rows, 9, r->intent_ref, sizeof r->intent_ref));
    return currency_parse(store_text(rows, 10), &r->amount.currency);
}

/* Read up to max rows with one of the readers above; element is the size of a row struct. */
#define READ_ROWS(rows_, read_, out_, max_, count_)                                                \
    do {                                                                                           \
        enum err read_error_ = OK;                                                                 \
        (count_) = 0;                                                                              \
        while (read_error_ == OK && (count_) < (max_) && store_next(&(rows_)))                     \
            read_error_ = read_(&(rows_), &(out_)[(count_)++]);                                    \
        enum err end_error_ = store_rows_end(&(rows_));                                            \
        TRY(read_error_);                                                                          \
        TRY(end_error_);                                                                           \
    } while (0)

static enum err one_payment(struct store_tx *tx, enum store_sql sql, struct store_value key,
                            struct payment_row *ret_row)
{
    struct store_rows rows;
    size_t count;

    TRY(store_query(tx, sql, &key, 1, &rows));
    READ_ROWS(rows, read_payment, ret_row, 1, count);
    ENSURE(count == 1, ERR_NOT_FOUND, "no_payment", "There is no such payment.");
    return OK;
}

enum err store_payment_by_id(struct store_tx *tx, struct payment_id id, struct payment_row *ret_row)
{
    return one_payment(tx, SQL_payment_by_id, sv_id(id), ret_row);
}

enum err store_payment_newest(struct store_tx *tx, struct order_id order,
                              struct payment_row *ret_row)
{
    return one_payment(tx, SQL_payment_newest, sv_id(order), ret_row);
}

enum err store_payment_last(struct store_tx *tx, struct payment_id *ret_id)
{
    struct store_rows rows;

    TRY(store_query(tx, SQL_payment_last, NULL, 0, &rows));
    bool found = store_next(&rows);
    if (found)
        store_id(&rows, 0, ret_id->b);
    TRY(store_rows_end(&rows));
    ENSURE(found, ERR_NOT_FOUND, "no_payment", "There is no payment yet.");
    return OK;
}

enum err store_payments_due(struct store_tx *tx, int64_t now_ms, struct payment_id *ids, size_t max,
                            size_t *ret_count)
{
    struct store_rows rows;

    TRY(store_query(tx, SQL_payment_due, SQL_ARGS(sv_int(now_ms), sv_int((int64_t)max)), &rows));
    for (*ret_count = 0; *ret_count < max && store_next(&rows); ++*ret_count)
        store_id(&rows, 0, ids[*ret_count].b);
    return store_rows_end(&rows);
}

/* What the statements below set in a payment's row; the rest of it stays as it was read. */
struct course_columns {
    enum payment_state state;
    struct store_value session_ref, intent_ref; /* NULL unless given */
    int64_t captured_minor;
};

static void payment_known(struct store_tx *tx, const struct payment_row *p,
                          const struct course_columns *c)
{
    tx_row_known(tx, AUDIT_payment, p->id.b,
                 SQL_ARGS(sv_id(p->id), sv_id(p->order), sv_int(p->organiser_no),
                          sv_int(p->attempt), sv_str(payment_states[c->state]), c->session_ref,
                          c->intent_ref, sv_int(p->amount.amount_minor),
                          sv_str(p->amount.currency.code), sv_int(c->captured_minor),
                          sv_int(p->refunded_minor), sv_int(p->created_ms), sv_str(p->title),
                          sv_str(p->return_origin)));
}

enum err store_payment_insert(struct store_tx *tx, const struct payment_row *p)
{
    const struct course_columns made = {.state = PAYMENT_OPEN};

    TRY(store_exec_audited(
        tx, SQL_payment_insert, p->id.b,
        SQL_ARGS(sv_id(p->id), sv_id(p->order), sv_int(p->organiser_no), sv_int(p->attempt),
                 sv_int(p->amount.amount_minor), sv_str(p->amount.currency.code), sv_str(p->title),
                 sv_str(p->return_origin), sv_int(p->next_ms), sv_int(p->created_ms)),
        NULL));
    payment_known(tx, p, &made);
    return OK;
}

/* Why to ask for the state is enough here and below: sql_payment.def. */
enum err store_payment_set_captured(struct store_tx *tx, const struct payment_row *p,
                                    const char *session_ref, const char *intent_ref,
                                    int64_t captured_minor)
{
    const struct course_columns captured = {.state = PAYMENT_CAPTURED,
                                            .session_ref = sv_str(session_ref),
                                            .intent_ref = sv_str(intent_ref),
                                            .captured_minor = captured_minor};
    bool late = p->state == PAYMENT_EXPIRED;
    int64_t changed;

    TRY(store_exec_audited(tx, late ? SQL_payment_set_captured_late : SQL_payment_set_captured,
                           p->id.b,
                           SQL_ARGS(sv_id(p->id), sv_str(intent_ref), sv_int(captured_minor),
                                    sv_str(payment_states[p->state]), sv_str(session_ref)),
                           &changed));
    ENSURE(changed == 1, ERR_CONFLICT, "payment_state", "The payment was captured before.");
    payment_known(tx, p, &captured);
    return OK;
}

enum err store_payment_set_ended(struct store_tx *tx, struct payment_id id,
                                 enum payment_state state)
{
    int64_t changed;

    INVARIANT(state == PAYMENT_EXPIRED || state == PAYMENT_FAILED,
              "a payment ends expired or failed");
    TRY(store_exec_audited(tx, SQL_payment_set_ended, id.b,
                           SQL_ARGS(sv_id(id), sv_str(payment_states[state])), &changed));
    ENSURE(changed == 1, ERR_CONFLICT, "payment_state", "The payment has ended before.");
    return OK;
}

enum err store_payment_add_refunded(struct store_tx *tx, struct payment_id id, int64_t amount_minor)
{
    return store_exec_audited(tx, SQL_payment_add_refunded, id.b,
                              SQL_ARGS(sv_id(id), sv_int(amount_minor)), NULL);
}

enum err store_payment_later(struct store_tx *tx, struct payment_id id, int64_t next_ms)
{
    return store_exec(tx, SQL_payment_later, SQL_ARGS(sv_id(id), sv_int(next_ms)), NULL);
}

enum err store_payment_answered(struct store_tx *tx, struct payment_id id, int64_t next_ms)
{
    return store_exec(tx, SQL_payment_answered, SQL_ARGS(sv_id(id), sv_int(next_ms)), NULL);
}

enum err store_refund_by_id(struct store_tx *tx, struct refund_id id, struct refund_row *ret_row)
{
    struct store_rows rows;
    size_t count;

    TRY(store_query(tx, SQL_refund_by_id, SQL_ARGS(sv_id(id)), &rows));
    READ_ROWS(rows, read_refund, ret_row, 1, count);
    ENSURE(count == 1, ERR_NOT_FOUND, "no_refund", "There is no such refund.");
    return OK;
}

enum err store_refunds_of_order(struct store_tx *tx, struct order_id order, struct refund_row *out,
                                size_t max, size_t *ret_count)
{
    struct store_rows rows;

    TRY(store_query(tx, SQL_refund_by_order, SQL_ARGS(sv_id(order)), &rows));
    READ_ROWS(rows, read_refund, out, max, *ret_count);
    return OK;
}

enum err store_refunds_due(struct store_tx *tx, int64_t now_ms, struct refund_id *ids, size_t max,
                           size_t *ret_count)
{
    struct store_rows rows;

    TRY(store_query(tx, SQL_refund_due, SQL_ARGS(sv_int(now_ms), sv_int((int64_t)max)), &rows));
    for (*ret_count = 0; *ret_count < max && store_next(&rows); ++*ret_count)
        store_id(&rows, 0, ids[*ret_count].b);
    return store_rows_end(&rows);
}

enum err store_refund_insert(struct store_tx *tx, const struct refund_row *r)
{
    return store_exec_audited(tx, SQL_refund_insert, r->id.b,
                              SQL_ARGS(sv_id(r->id), sv_id(r->payment), sv_id(r->order),
                                       sv_int(r->organiser_no), sv_int(r->amount.amount_minor),
                                       sv_str(r->reason), sv_int(store_now_ms(tx))),
                              NULL);
}

enum err store_refund_set_state(struct store_tx *tx, struct refund_id id, enum refund_state state,
                                const char *refund_ref)
{
    int64_t changed;
    struct store_value ref = refund_ref && refund_ref[0] ? sv_str(refund_ref) : sv_null();

    TRY(store_exec_audited(tx, SQL_refund_set_state, id.b,
                           SQL_ARGS(sv_id(id), sv_str(refund_states[state]), ref), &changed));
    ENSURE(changed == 1, ERR_CONFLICT, "refund_state", "The refund has ended before.");
    return OK;
}

enum err store_refund_later(struct store_tx *tx, struct refund_id id, int64_t next_ms)
{
    return store_exec(tx, SQL_refund_later, SQL_ARGS(sv_id(id), sv_int(next_ms)), NULL);
}

enum err store_posting_book(struct store_tx *tx, const uint8_t booking_id[ID_BYTES],
                            struct order_id order, struct currency currency,
                            const struct posting_line *lines, size_t count)
{
    int64_t sum = 0, at = 0;

    for (size_t i = 0; i < count; i++)
        ENSURE(!__builtin_add_overflow(sum, lines[i].amount_minor, &sum), ERR_LIMIT,
               "amount_too_large", "The amount is too large.");
    INVARIANT(sum == 0, "the lines of a booking sum to zero");
    for (size_t i = 0; i < count; i++)
        if (lines[i].amount_minor != 0)
            TRY(store_exec(tx, SQL_posting_insert,
                           SQL_ARGS(sv_blob(span_of(booking_id, ID_BYTES)), sv_int(at++),
                                    sv_id(order), sv_str(lines[i].account),
                                    sv_int(lines[i].amount_minor), sv_str(currency.code),
                                    sv_int(store_now_ms(tx))),
                           NULL));
    return OK;
}
