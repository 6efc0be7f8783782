/* SPDX-License-Identifier: Apache-2.0 */
/* refunds - money given back; at once, as with cards in Stripe's test mode. */
#include <string.h>

#include "prog/sandbox/sandbox.h"

static enum err emit_both(struct sandbox *sb, const struct refund *r, const struct intent *i)
{
    AUTO(buf_done) struct buf b;

    buf_init(&b, OBJECT_JSON_MAX);
    TRY(refund_write(r, &b));
    TRY(hooks_emit(sb, "refund.created", buf_span(&b)));
    buf_reset(&b);
    TRY(intent_write(i, &b));
    return hooks_emit(sb, "charge.refunded", buf_span(&b));
}

/* What the request wants, checked against the payment. */
static enum err take_refund(struct call *c, struct refund *r, struct intent *i, bool *refused)
{
    struct span intent = form_get(&c->form, "payment_intent"),
                reason = form_get(&c->form, "reason");

    *refused = true;
    if (!intent.data)
        return api_error(c, 400, "invalid_request_error", "parameter_missing", "payment_intent",
                         "One of the following params should be provided: payment_intent.");
    enum err e = span_to_text(intent, r->intent, sizeof r->intent) == OK
                     ? state_intent(c->sb, r->intent, i)
                     : ERR_NOT_FOUND;
    if (e == ERR_NOT_FOUND)
        return api_error(c, 404, "invalid_request_error", "resource_missing", "payment_intent",
                         "No such payment_intent.");
    TRY(e);
    if (reason.data && !span_eq_text(reason, "duplicate") && !span_eq_text(reason, "fraudulent") &&
        !span_eq_text(reason, "requested_by_customer"))
        return api_error(c, 400, "invalid_request_error", NULL, "reason", "Invalid reason.");
    TRY(span_to_text(reason, r->reason, sizeof r->reason));
    int64_t left = i->amount_minor - i->refunded_minor;
    r->amount_minor = left;
    TRY(api_int_param(c, "amount", 1, MONEY_MINOR_MAX, &r->amount_minor, refused));
    if (*refused)
        return OK;
    *refused = true;
    if (left == 0)
        return api_error(c, 400, "invalid_request_error", "charge_already_refunded", NULL,
                         "Charge %s has already been refunded.", i->charge);
    if (r->amount_minor > left)
        return api_error(c, 400, "invalid_request_error", NULL, "amount",
                         "Refund amount (%lld) is greater than unrefunded amount on charge (%lld).",
                         (long long)r->amount_minor, (long long)left);
    TRY(api_metadata(c, &r->metadata, refused));
    return *refused ? OK : api_refuse_unused(c, refused);
}

enum err refund_create(struct call *c)
{
    struct refund r = {.status = "succeeded", .created_s = state_now_ms(c->sb) / 1000};
    struct intent i = {0};
    bool refused;

    TRY(take_refund(c, &r, &i, &refused));
    if (refused)
        return OK;
    state_new_id(c->sb, "re_", r.id);
    (void)snprintf(r.charge, sizeof r.charge, "%s", i.charge);
    (void)snprintf(r.currency, sizeof r.currency, "%s", i.currency);
    i.refunded_minor += r.amount_minor;
    INVARIANT(i.refunded_minor <= i.amount_minor, "no more is refunded than was taken");
    TRY(state_intent_put(c->sb, &i));
    TRY(state_refund_put(c->sb, &r));
    TRY(emit_both(c->sb, &r, &i));
    return refund_write(&r, &c->body);
}

enum err refund_get(struct call *c, struct span id)
{
    struct refund r = {0};
    char text[OBJECT_ID_MAX];
    enum err e =
        span_to_text(id, text, sizeof text) == OK ? state_refund(c->sb, text, &r) : ERR_NOT_FOUND;

    if (e == ERR_NOT_FOUND)
        return api_error(c, 404, "invalid_request_error", "resource_missing", "id",
                         "No such refund.");
    TRY(e);
    return refund_write(&r, &c->body);
}

static enum err keep_intent(struct call *c, struct span json, bool *ret_keep)
{
    struct span want = form_get(&c->form, "payment_intent");
    struct refund r = {0};

    if (!want.data)
        return OK;
    TRY(refund_read(json, &r));
    *ret_keep = span_eq_text(want, r.intent);
    return OK;
}

enum err refund_list(struct call *c)
{
    (void)form_get(&c->form, "payment_intent"); /* known */
    return api_list(c, "refund", "/v1/refunds", keep_intent);
}
