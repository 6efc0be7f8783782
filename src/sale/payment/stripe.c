/* SPDX-License-Identifier: Apache-2.0 */
#include "sale/payment/stripe.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "ground/crypto/crypto.h"
#include "ground/encode/hex.h"
#include "ground/encode/json.h"

enum { FORM_MAX = 8192, HEADER_MAX = 1024, HEADER_PARTS_MAX = 16 };

static void put_form(struct buf *b, const char *key, const char *value)
{
    static const char hex[] = "0123456789ABCDEF";

    if (b->len)
        buf_put_u8(b, '&');
    buf_put_text(b, key);
    buf_put_u8(b, '=');
    for (const unsigned char *p = (const unsigned char *)value; *p; p++) {
        if (isalnum(*p) || strchr("-._~", *p)) {
            buf_put_u8(b, *p);
        } else {
            buf_put_u8(b, '%');
            buf_put_u8(b, (uint8_t)hex[*p >> 4]);
            buf_put_u8(b, (uint8_t)hex[*p & 15]);
        }
    }
}

static void put_form_int(struct buf *b, const char *key, int64_t value)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%lld", (long long)value);
    put_form(b, key, digits);
}

static void lower(const char *in, char *out, size_t size)
{
    size_t n = 0;
    for (; in[n] && n + 1 < size; n++)
        out[n] = (char)tolower((unsigned char)in[n]);
    out[n] = '\0';
}

/* A reference goes into a path, so it must be a plain word. */
static enum err check_ref(const char *ref)
{
    size_t n = strlen(ref);
    ENSURE(n > 0 && n < STRIPE_REF_MAX, ERR_INVALID, "bad_provider_ref",
           "The provider's reference is not usable.");
    for (size_t i = 0; i < n; i++)
        ENSURE(isalnum((unsigned char)ref[i]) || ref[i] == '_', ERR_INVALID, "bad_provider_ref",
               "The provider's reference is not usable.");
    return OK;
}

/* The page sends browsers there: no other scheme, nothing that could end a line or a quoted text. */
static enum err check_url(const char *url)
{
    bool web = strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0;

    ENSURE(!url[0] || web, ERR_INVALID, "bad_provider_answer",
           "The provider's address is no web address.");
    for (const char *p = url; *p; p++)
        ENSURE(*p > ' ' && *p < 0x7f && *p != '"' && *p != '<' && *p != '>' && *p != '\\',
               ERR_INVALID, "bad_provider_answer", "The provider's address is not usable.");
    return OK;
}

static void begin(struct stripe_request *r, const char *method)
{
    memset(r, 0, sizeof *r);
    r->method = method;
    buf_init(&r->form, FORM_MAX);
}

enum err stripe_session_create(const struct stripe_session_wish *w, struct stripe_request *ret)
{
    char currency[4], id[ID_TEXT_MAX];

    begin(ret, "POST");
    payment_id_format(w->payment, id);
    lower(w->amount.currency.code, currency, sizeof currency);
    (void)snprintf(ret->path, sizeof ret->path, "/v1/checkout/sessions");
    (void)snprintf(ret->idempotency_key, sizeof ret->idempotency_key, "%s", id);
    put_form(&ret->form, "mode", "payment");
    put_form(&ret->form, "client_reference_id",
             id); /* for people who look at the provider's pages */
    put_form(&ret->form, "metadata[payment]", id);
    put_form(&ret->form, "success_url", w->success_url);
    put_form(&ret->form, "cancel_url", w->cancel_url);
    put_form_int(&ret->form, "expires_at", w->expires_ms / 1000);
    put_form(&ret->form, "line_items[0][quantity]", "1");
    put_form(&ret->form, "line_items[0][price_data][currency]", currency);
    put_form_int(&ret->form, "line_items[0][price_data][unit_amount]", w->amount.amount_minor);
    put_form(&ret->form, "line_items[0][price_data][product_data][name]", w->title);
    put_form(&ret->form, "payment_method_types[0]", "card");
    enum err e = buf_check(&ret->form);
    if (e != OK)
        buf_done(&ret->form);
    return e;
}

static enum err session_path(const char *ref, const char *method, const char *tail,
                             struct stripe_request *ret)
{
    TRY(check_ref(ref));
    begin(ret, method);
    (void)snprintf(ret->path, sizeof ret->path, "/v1/checkout/sessions/%s%s", ref, tail);
    return OK;
}

enum err stripe_session_ask(const char *session_ref, struct stripe_request *ret)
{
    return session_path(session_ref, "GET", "", ret);
}

enum err stripe_session_expire(const char *session_ref, struct stripe_request *ret)
{
    return session_path(session_ref, "POST", "/expire", ret);
}

enum err stripe_refund_create(struct refund_id refund, const char *intent_ref, struct money amount,
                              struct stripe_request *ret)
{
    char id[ID_TEXT_MAX];

    TRY(check_ref(intent_ref));
    begin(ret, "POST");
    refund_id_format(refund, id);
    (void)snprintf(ret->path, sizeof ret->path, "/v1/refunds");
    (void)snprintf(ret->idempotency_key, sizeof ret->idempotency_key, "%s", id);
    put_form(&ret->form, "payment_intent", intent_ref);
    put_form_int(&ret->form, "amount", amount.amount_minor);
    put_form(&ret->form, "metadata[refund]", id);
    return OK;
}

/* A text member that may be null or absent; empty then. */
static enum err read_ref(struct json_object *o, const char *key, char *out, size_t size)
{
    struct span text = {0};
    TRY(json_opt_text(o, key, size - 1, &text));
    return span_to_text(text, out, size);
}

static enum err read_money(struct json_object *o, const char *amount_key, struct money *ret)
{
    struct span code;
    char upper[4] = {0};
    struct money m = {0};

    TRY(json_need_i64(o, amount_key, 0, MONEY_MINOR_MAX, &m.amount_minor));
    TRY(json_need_text(o, "currency", 3, &code));
    for (size_t i = 0; i < code.len; i++)
        upper[i] = (char)toupper(code.data[i]);
    TRY(currency_parse(span_text(upper), &m.currency));
    *ret = m;
    return OK;
}

/* Our own id, from the metadata: of all that a session carries, only those who have the account's key can set it. */
static enum err read_reference(struct json_object *o, const char *key, char out[ID_TEXT_MAX])
{
    struct json_object metadata;

    out[0] = '\0';
    if (!json_has(o, "metadata"))
        return OK;
    TRY(json_need_object(o, "metadata", &metadata));
    return read_ref(&metadata, key, out, ID_TEXT_MAX);
}

static enum err read_session(struct json_object *o, struct stripe_session *s)
{
    struct span object, status, paid;

    memset(s, 0, sizeof *s);
    TRY(json_need_text(o, "object", 40, &object));
    ENSURE(span_eq_text(object, "checkout.session"), ERR_INVALID, "bad_provider_answer",
           "The provider's answer is not a checkout session.");
    TRY(read_ref(o, "id", s->ref, sizeof s->ref));
    TRY(check_ref(s->ref));
    TRY(read_ref(o, "payment_intent", s->intent_ref, sizeof s->intent_ref));
    if (s->intent_ref[0])
        TRY(check_ref(s->intent_ref));
    TRY(read_ref(o, "url", s->url, sizeof s->url));
    TRY(read_reference(o, "payment", s->client_reference));
    TRY(json_need_text(o, "status", 20, &status));
    TRY(json_need_text(o, "payment_status", 30, &paid));
    if (span_eq_text(status, "open"))
        s->status = STRIPE_OPEN;
    else if (span_eq_text(status, "complete"))
        s->status = STRIPE_COMPLETE;
    else if (span_eq_text(status, "expired"))
        s->status = STRIPE_EXPIRED;
    else
        FAIL(ERR_INVALID, "bad_provider_answer", "The provider's session has an unknown status.");
    s->paid = s->status == STRIPE_COMPLETE && span_eq_text(paid, "paid");
    ENSURE(!s->paid || s->intent_ref[0], ERR_INVALID, "bad_provider_answer",
           "A paid session names its payment.");
    TRY(check_url(s->url));
    return read_money(o, "amount_total", &s->amount);
}

static enum err read_refund(struct json_object *o, struct stripe_refund *r)
{
    struct span object, status;

    memset(r, 0, sizeof *r);
    TRY(json_need_text(o, "object", 40, &object));
    ENSURE(span_eq_text(object, "refund"), ERR_INVALID, "bad_provider_answer",
           "The provider's answer is not a refund.");
    TRY(read_ref(o, "id", r->ref, sizeof r->ref));
    TRY(check_ref(r->ref));
    TRY(read_ref(o, "payment_intent", r->intent_ref, sizeof r->intent_ref));
    TRY(json_need_text(o, "status", 30, &status));
    TRY(read_reference(o, "refund", r->client_reference));
    r->done = span_eq_text(status, "succeeded");
    r->failed = span_eq_text(status, "failed") || span_eq_text(status, "canceled");
    return read_money(o, "amount", &r->amount);
}

enum err stripe_session_read(struct span json, struct stripe_session *ret_session)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct json_object root;

    TRY(json_parse(json, STRIPE_BODY_MAX, &doc));
    TRY(json_root(doc, &root));
    return read_session(&root, ret_session);
}

enum err stripe_refund_read(struct span json, struct stripe_refund *ret_refund)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct json_object root;

    TRY(json_parse(json, STRIPE_BODY_MAX, &doc));
    TRY(json_root(doc, &root));
    return read_refund(&root, ret_refund);
}

enum stripe_refusal stripe_refusal_read(struct span json)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct json_object root, error;
    struct span type;

    if (json_parse(json, STRIPE_BODY_MAX, &doc) != OK || json_root(doc, &root) != OK ||
        !json_has(&root, "error") || json_need_object(&root, "error", &error) != OK ||
        json_need_text(&error, "type", 60, &type) != OK)
        return STRIPE_NO_REFUSAL;
    if (span_eq_text(type, "idempotency_error"))
        return STRIPE_KEY_REUSED;
    return span_eq_text(type, "invalid_request_error") || span_eq_text(type, "card_error")
               ? STRIPE_REFUSED
               : STRIPE_NO_REFUSAL;
}

static void signature_of(struct span secret, struct span time, struct span body,
                         uint8_t ret_mac[SHA256_BYTES])
{
    const struct span parts[] = {time, SPAN_LIT("."), body};
    hmac_sha256_parts(secret, parts, COUNT_OF(parts), ret_mac);
}

void stripe_webhook_sign(struct span secret, struct span body, int64_t now_ms, struct buf *out)
{
    uint8_t mac[SHA256_BYTES];
    char time[24];

    (void)snprintf(time, sizeof time, "%lld", (long long)(now_ms / 1000));
    signature_of(secret, span_text(time), body, mac);
    buf_put_text(out, "t=");
    buf_put_text(out, time);
    buf_put_text(out, ",v1=");
    hex_put(out, SPAN_ARRAY(mac));
}

/* Split the header at commas: the one t=, and whether any v1= matches. */
static enum err check_signature(struct span secret, struct span header, struct span body,
                                int64_t now_ms)
{
    struct span time = {0}, rest = header;
    uint8_t want[SHA256_BYTES], got[SHA256_BYTES];
    uint64_t seconds;
    bool match = false;
    size_t n;

    /* Why: anybody can sign with an empty key. */
    ENSURE(secret.len > 0, ERR_DENIED, "bad_webhook_signature",
           "No webhook secret is configured, so no webhook is believed.");
    ENSURE(header.len > 0 && header.len <= HEADER_MAX, ERR_DENIED, "bad_webhook_signature",
           "No usable Stripe-Signature.");
    if (span_starts(rest, "t="))
        time = span_sub(rest, 2, span_find(rest, ',') - 2);
    if (text_to_u64(time, &seconds) != OK || seconds > (uint64_t)INT64_MAX / 1000)
        FAIL(ERR_DENIED, "bad_webhook_signature", "The signature has no time.");
    int64_t age_ms = now_ms - (int64_t)seconds * 1000;
    ENSURE(age_ms <= STRIPE_TOLERANCE_MS && age_ms >= -STRIPE_TOLERANCE_MS, ERR_DENIED,
           "bad_webhook_signature", "The signature's time is too far from now.");
    signature_of(secret, time, body, want);
    for (int parts = 0; rest.len > 0 && parts < HEADER_PARTS_MAX; parts++) {
        size_t end = span_find(rest, ',');
        struct span part = span_sub(rest, 0, end);
        if (span_starts(part, "v1=") &&
            hex_decode(span_sub(part, 3, part.len), got, sizeof got, &n) == OK && n == sizeof got)
            match |= crypto_eq(want, got, sizeof got);
        rest = span_sub(rest, end + 1, rest.len);
    }
    ENSURE(match, ERR_DENIED, "bad_webhook_signature", "No signature of the webhook matches.");
    return OK;
}

/* The provider's account may serve others too: what does not carry an id of ours is signed, and none of our business. */
static bool is_ours(struct json_object *o, enum stripe_event_kind kind)
{
    const char *key = kind == STRIPE_EVENT_REFUND ? "refund" : "payment";
    struct payment_id payment;
    struct refund_id refund;
    char id[ID_TEXT_MAX];

    if (read_reference(o, key, id) != OK)
        return false;
    return kind == STRIPE_EVENT_REFUND ? refund_id_parse(span_text(id), &refund) == OK
                                       : payment_id_parse(span_text(id), &payment) == OK;
}

static enum err read_event(struct json_object *root, struct stripe_event *e)
{
    struct span object, type;
    struct json_object data, inner;

    TRY(json_need_text(root, "object", 20, &object));
    ENSURE(span_eq_text(object, "event"), ERR_INVALID, "bad_provider_answer",
           "The webhook is not an event.");
    TRY(read_ref(root, "id", e->ref, sizeof e->ref));
    TRY(check_ref(e->ref));
    TRY(json_need_text(root, "type", 80, &type));
    TRY(json_need_object(root, "data", &data));
    TRY(json_need_object(&data, "object", &inner));
    if (span_eq_text(type, "checkout.session.completed") ||
        span_eq_text(type, "checkout.session.async_payment_succeeded"))
        e->kind = STRIPE_EVENT_SESSION_COMPLETED;
    else if (span_eq_text(type, "checkout.session.expired"))
        e->kind = STRIPE_EVENT_SESSION_EXPIRED;
    else if (span_eq_text(type, "refund.updated") || span_eq_text(type, "refund.created") ||
             span_eq_text(type, "refund.failed") || span_eq_text(type, "charge.refund.updated"))
        e->kind = STRIPE_EVENT_REFUND;
    if (e->kind != STRIPE_EVENT_OTHER && !is_ours(&inner, e->kind))
        e->kind = STRIPE_EVENT_OTHER;
    if (e->kind == STRIPE_EVENT_OTHER)
        return OK;
    return e->kind == STRIPE_EVENT_REFUND ? read_refund(&inner, &e->refund)
                                          : read_session(&inner, &e->session);
}

enum err stripe_webhook_read(struct span secret, struct span header, struct span body,
                             int64_t now_ms, struct stripe_event *ret_event)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct json_object root;

    TRY(check_signature(secret, header, body, now_ms));
    TRY(json_parse(body, STRIPE_BODY_MAX, &doc));
    TRY(json_root(doc, &root));
    memset(ret_event, 0, sizeof *ret_event);
    return read_event(&root, ret_event);
}
