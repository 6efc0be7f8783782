/* SPDX-License-Identifier: Apache-2.0 */
/* checkout - sessions and the payments made in them. */
#include <ctype.h>
#include <string.h>

#include "prog/sandbox/sandbox.h"

enum { OPEN_MIN_S = 30 * 60, OPEN_MAX_S = 24 * 3600, ITEMS_MAX = 20 };

static enum err missing(struct call *c, const char *param)
{
    return api_error(c, 400, "invalid_request_error", "parameter_missing", param,
                     "Missing required param: %s.", param);
}

static enum err no_such(struct call *c, const char *what)
{
    return api_error(c, 404, "invalid_request_error", "resource_missing", "id", "No such %s.",
                     what);
}

/* A text parameter; absent is fine, too long refuses. */
static enum err take_text(struct call *c, const char *name, char *out, size_t size, bool *refused)
{
    struct span s = form_get(&c->form, name);

    if (*refused || span_to_text(s, out, size) == OK)
        return OK;
    *refused = true;
    return api_error(c, 400, "invalid_request_error", "parameter_invalid", name, "%s is too long.",
                     name);
}

static enum err take_url(struct call *c, const char *name, char *out, bool *refused)
{
    TRY(take_text(c, name, out, OBJECT_URL_MAX, refused));
    if (*refused || !out[0])
        return OK;
    *refused = strncmp(out, "https://", 8) != 0 && strncmp(out, "http://", 7) != 0;
    for (const char *p = out; *p; p++)
        *refused |= (unsigned char)*p <= 0x20 || strchr("\"<>\\^`|;,", *p);
    return *refused
               ? api_error(c, 400, "invalid_request_error", "url_invalid", name, "Not a valid URL")
               : OK;
}

static enum err take_item(struct call *c, int index, struct session *s, bool *refused,
                          bool *ret_end)
{
    char quantity[64], currency[80], price[80], name[96], text[4] = "";
    int64_t count = 1, unit = -1, sum;
    struct money m;

    (void)snprintf(quantity, sizeof quantity, "line_items[%d][quantity]", index);
    (void)snprintf(currency, sizeof currency, "line_items[%d][price_data][currency]", index);
    (void)snprintf(price, sizeof price, "line_items[%d][price_data][unit_amount]", index);
    (void)snprintf(name, sizeof name, "line_items[%d][price_data][product_data][name]", index);
    TRY(api_int_param(c, quantity, 1, 1000, &count, refused));
    if (!*refused)
        TRY(api_int_param(c, price, 0, MONEY_MINOR_MAX, &unit, refused));
    *ret_end = unit < 0;
    if (*refused || *ret_end)
        return OK;
    struct span code = form_get(&c->form, currency), title = form_get(&c->form, name);
    if (code.len != 3 || title.len == 0) {
        *refused = true;
        return missing(c, code.len != 3 ? currency : name);
    }
    for (size_t i = 0; i < 3; i++)
        text[i] = (char)toupper(code.data[i]);
    if (currency_parse(span_text(text), &m.currency) != OK ||
        (s->currency[0] && !span_ieq_text(code, s->currency))) {
        *refused = true;
        return api_error(c, 400, "invalid_request_error", NULL, currency, "Invalid currency.");
    }
    for (size_t i = 0; i < 3; i++)
        s->currency[i] = (char)tolower(code.data[i]);
    if (!s->title[0] && span_to_text(title, s->title, sizeof s->title) != OK) {
        *refused = true;
        return api_error(c, 400, "invalid_request_error", NULL, name, "The name is too long.");
    }
    if (__builtin_mul_overflow(unit, count, &sum) ||
        __builtin_add_overflow(s->amount_minor, sum, &s->amount_minor) ||
        s->amount_minor > MONEY_MINOR_MAX) {
        *refused = true;
        return api_error(c, 400, "invalid_request_error", "amount_too_large", price,
                         "The amount is too large.");
    }
    return OK;
}

static enum err take_items(struct call *c, struct session *s, bool *refused)
{
    bool end = false;

    for (int i = 0; i < ITEMS_MAX && !end && !*refused; i++)
        TRY(take_item(c, i, s, refused, &end));
    if (*refused)
        return OK;
    *refused = s->amount_minor <= 0;
    return *refused ? missing(c, "line_items") : OK;
}

static enum err take_times(struct call *c, struct session *s, bool *refused)
{
    s->created_s = state_now_ms(c->sb) / 1000;
    s->expires_s = s->created_s + OPEN_MAX_S;
    TRY(api_int_param(c, "expires_at", 0, INT64_MAX / 1000, &s->expires_s, refused));
    if (*refused)
        return OK;
    *refused = s->expires_s < s->created_s + OPEN_MIN_S || s->expires_s > s->created_s + OPEN_MAX_S;
    return *refused ? api_error(c, 400, "invalid_request_error", NULL, "expires_at",
                                "The `expires_at` timestamp must be between 30 minutes and 24 "
                                "hours from Checkout Session creation.")
                    : OK;
}

static enum err take_session(struct call *c, struct session *s, bool *refused)
{
    struct span mode = form_get(&c->form, "mode"),
                card = form_get(&c->form, "payment_method_types[0]");

    *refused = !span_eq_text(mode, "payment") || (card.data && !span_eq_text(card, "card"));
    if (*refused)
        return !mode.data ? missing(c, "mode")
                          : api_error(c, 400, "invalid_request_error", NULL, "mode",
                                      "The sandbox knows mode=payment with cards.");
    TRY(take_url(c, "success_url", s->success_url, refused));
    if (!*refused && !s->success_url[0]) {
        *refused = true;
        return missing(c, "success_url");
    }
    if (!*refused)
        TRY(take_url(c, "cancel_url", s->cancel_url, refused));
    TRY(take_text(c, "client_reference_id", s->client_reference, sizeof s->client_reference,
                  refused));
    TRY(take_text(c, "customer_email", s->customer_email, sizeof s->customer_email, refused));
    if (!*refused)
        TRY(take_items(c, s, refused));
    if (!*refused)
        TRY(take_times(c, s, refused));
    if (!*refused)
        TRY(api_metadata(c, &s->metadata, refused));
    return *refused ? OK : api_refuse_unused(c, refused);
}

/* http://127.0.0.1, http://localhost or http://[::1], with any port: a browser on this very machine. */
static bool is_loopback(const char *url)
{
    static const char *const origins[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};

    for (size_t i = 0; i < COUNT_OF(origins); i++) {
        size_t n = strlen(origins[i]);
        if (strncmp(url, origins[i], n) == 0 && (!url[n] || strchr(":/?#", url[n])))
            return true;
    }
    return false;
}

enum err checkout_create(struct call *c)
{
    struct session s = {.status = "open", .payment_status = "unpaid"};
    char expires[32];
    bool refused;

    TRY(take_session(c, &s, &refused));
    if (refused)
        return OK;
    state_new_id(c->sb, "cs_test_", s.id);
    bool here = c->sb->plain_url[0] && is_loopback(s.success_url);
    int n = snprintf(s.url, sizeof s.url, "%s/pay/%s", here ? c->sb->plain_url : c->sb->public_url,
                     s.id);
    ENSURE(n > 0 && (size_t)n < sizeof s.url, ERR_LIMIT, "url_too_long",
           "The public URL is too long.");
    TRY(state_session_put(c->sb, &s));
    (void)snprintf(expires, sizeof expires, "%lld", (long long)s.expires_s);
    TRY(kv_put(c->sb->kv, "open", s.id, span_text(expires)));
    return session_write(&s, &c->body);
}

/* *ret_found false: the answer (404) is made. */
static enum err find(struct call *c, struct span id, struct session *s, bool *ret_found)
{
    char text[OBJECT_ID_MAX];
    enum err e =
        span_to_text(id, text, sizeof text) == OK ? state_session(c->sb, text, s) : ERR_NOT_FOUND;

    *ret_found = e == OK;
    return e == ERR_NOT_FOUND ? no_such(c, "checkout.session") : e;
}

enum err checkout_get(struct call *c, struct span id)
{
    struct session s = {0};
    bool found, refused;

    TRY(api_refuse_unused(c, &refused));
    if (refused)
        return OK;
    TRY(find(c, id, &s, &found));
    return found ? session_write(&s, &c->body) : OK;
}

enum err checkout_expire(struct call *c, struct span id)
{
    struct session s = {0};
    bool found, refused;

    TRY(api_refuse_unused(c, &refused));
    if (refused)
        return OK;
    TRY(find(c, id, &s, &found));
    if (!found)
        return OK;
    if (strcmp(s.status, "open") != 0)
        return api_error(c, 400, "invalid_request_error", NULL, NULL,
                         "Only Checkout Sessions with a status in [\"open\"] can be expired. This "
                         "Checkout Session has a status of %s.",
                         s.status);
    TRY(state_session_expire(c->sb, &s));
    return session_write(&s, &c->body);
}

static enum err keep_intent(struct call *c, struct span json, bool *ret_keep)
{
    struct span want = form_get(&c->form, "payment_intent");
    struct session s = {0};

    if (!want.data)
        return OK;
    TRY(session_read(json, &s));
    *ret_keep = span_eq_text(want, s.intent);
    return OK;
}

enum err checkout_list(struct call *c)
{
    (void)form_get(&c->form, "payment_intent"); /* known */
    return api_list(c, "session", "/v1/checkout/sessions", keep_intent);
}

enum err checkout_pay(struct sandbox *sb, struct session *s, const char *brand, const char *last4)
{
    AUTO(buf_done) struct buf b;
    struct intent i = {.amount_minor = s->amount_minor, .created_s = state_now_ms(sb) / 1000};

    INVARIANT(strcmp(s->status, "open") == 0, "only an open session is charged");
    if (state_fault(sb, FAULT_wrong_amount, span_text("/"), NULL)) {
        i.amount_minor++;
        s->amount_minor++;
    }
    state_new_id(sb, "pi_", i.id);
    state_new_id(sb, "ch_", i.charge);
    (void)snprintf(i.session, sizeof i.session, "%s", s->id);
    (void)snprintf(i.currency, sizeof i.currency, "%s", s->currency);
    (void)snprintf(i.card_brand, sizeof i.card_brand, "%s", brand);
    (void)snprintf(i.card_last4, sizeof i.card_last4, "%s", last4);
    (void)snprintf(s->intent, sizeof s->intent, "%s", i.id);
    (void)snprintf(s->status, sizeof s->status, "complete");
    (void)snprintf(s->payment_status, sizeof s->payment_status, "paid");
    TRY(state_intent_put(sb, &i));
    TRY(state_session_put(sb, s));
    TRY(kv_delete(sb->kv, "open", s->id));
    buf_init(&b, OBJECT_JSON_MAX);
    TRY(intent_write(&i, &b));
    TRY(hooks_emit(sb, "payment_intent.succeeded", buf_span(&b)));
    buf_reset(&b);
    TRY(session_write(s, &b));
    return hooks_emit(sb, "checkout.session.completed", buf_span(&b));
}

enum err intent_get(struct call *c, struct span id)
{
    struct intent i = {0};
    char text[OBJECT_ID_MAX];
    enum err e =
        span_to_text(id, text, sizeof text) == OK ? state_intent(c->sb, text, &i) : ERR_NOT_FOUND;

    if (e == ERR_NOT_FOUND)
        return no_such(c, "payment_intent");
    TRY(e);
    return intent_write(&i, &c->body);
}
