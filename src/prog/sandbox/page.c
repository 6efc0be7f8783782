/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page - the hosted payment page: plain HTML, no script, a policy of its own. The card number is read from the request, judged,
 * and goes no further (B4).
 */
#include <ctype.h>
#include <string.h>

#include "prog/sandbox/sandbox.h"

enum { CARD_DIGITS_MAX = 19, PAGE_MAX = 64 * 1024 };

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1a2233;--soft:#566176;--paper:#fff;--wall:#eef1f6;"
    "--line:#8a94a6;--accent:#3b4cca;--on:#fff;--bad:#b00020;--badwall:#fdecee}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e9edf5;--soft:#a9b3c5;--paper:#1b2130;"
    "--wall:#11151f;--line:#76819a;--accent:#a9b4ff;--on:#11151f;--bad:#ffb3bd;--badwall:#3a1a21}}"
    "*{box-sizing:border-box}"
    "body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1rem;background:"
    "var(--wall);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}"
    "main{width:100%;max-width:26rem;background:var(--paper);border-radius:1rem;padding:1.5rem;"
    "box-shadow:0 .5rem 2rem #0003}"
    ".test{margin:0 0 1rem;color:var(--soft);font-size:.875rem}"
    "h1{font-size:1.125rem;margin:0;font-weight:600;overflow-wrap:anywhere}"
    ".amount{font-size:2rem;font-weight:700;margin:.25rem 0 1.25rem;font-variant-numeric:"
    "tabular-nums}"
    "label{display:block;font-weight:600;margin:0 0 .25rem}"
    "input{width:100%;font:inherit;font-variant-numeric:tabular-nums;color:inherit;background:"
    "transparent;border:1px solid var(--line);border-radius:.5rem;padding:.625rem .75rem;"
    "min-height:2.75rem}"
    "::placeholder{color:var(--soft);opacity:1}"
    "input[aria-invalid=true]{border-color:var(--bad)}"
    ":focus-visible{outline:3px solid var(--accent);outline-offset:2px}"
    ".field{margin:0 0 1rem}"
    ".pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem}"
    "button{width:100%;min-height:3rem;border:0;border-radius:.5rem;background:var(--accent);"
    "color:var(--on);font:inherit;font-weight:700;cursor:pointer}"
    ".error{background:var(--badwall);color:var(--bad);border-radius:.5rem;padding:.75rem 1rem;"
    "margin:0 0 1rem}"
    "a{color:var(--accent)}"
    ".back{display:block;text-align:center;margin:1rem 0 0;padding:.5rem}"
    "code{font-variant-numeric:tabular-nums}";

struct verdict {
    const char *field;   /* at fault, or NULL */
    const char *message; /* NULL: approved */
    char brand[16], last4[8];
};

/* --- Judging a card -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *number;
    const char *message; /* NULL: approved */
} test_cards[] = {
    {"4242424242424242", NULL},
    {"4000056655665556", NULL},
    {"5555555555554444", NULL},
    {"2223003122003222", NULL},
    {"378282246310005", NULL},
    {"4000000000000002", "Your card was declined. Nothing was charged; try another card."},
    {"4000000000009995", "Your card has insufficient funds. Nothing was charged."},
    {"4000000000009987", "Your card was declined. Nothing was charged; try another card."},
    {"4000000000000069", "Your card has expired. Nothing was charged."},
    {"4000000000000127", "Your card's security code is incorrect. Nothing was charged."},
    {"4000000000000119", "An error occurred while processing your card. Nothing was charged."},
};

static bool passes_luhn(const char *digits)
{
    int sum = 0;
    size_t n = strlen(digits);

    for (size_t i = 0; i < n; i++) {
        int d = digits[n - 1 - i] - '0';
        if (i % 2 == 1)
            d = d * 2 > 9 ? d * 2 - 9 : d * 2;
        sum += d;
    }
    return sum % 10 == 0;
}

static const char *brand_of(const char *digits)
{
    if (digits[0] == '4')
        return "visa";
    if (digits[0] == '5' || digits[0] == '2')
        return "mastercard";
    return digits[0] == '3' ? "amex" : "unknown";
}

/* Digits only, spaces and dashes dropped; false when anything else is there or the length is wrong. */
static bool digits_of(struct span s, char *out, size_t min, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == ' ' || s.data[i] == '-' || s.data[i] == '/')
            continue;
        if (!isdigit(s.data[i]) || n == max)
            return false;
        out[n++] = (char)s.data[i];
    }
    out[n] = '\0';
    return n >= min;
}

/* MM/YY or MM/YYYY, not over at the time. */
static bool expiry_is_good(struct span s, int64_t now_ms)
{
    char d[7], now[TIME_TEXT_MAX];
    int64_t month, year, this_year, this_month;

    if (!digits_of(s, d, 4, 6) || strlen(d) == 5)
        return false;
    time_format(now_ms, now);
    month = (d[0] - '0') * 10 + (d[1] - '0');
    year = 0;
    for (const char *p = d + 2; *p; p++)
        year = year * 10 + (*p - '0');
    year += strlen(d) == 4 ? 2000 : 0;
    this_year = (now[0] - '0') * 1000 + (now[1] - '0') * 100 + (now[2] - '0') * 10 + (now[3] - '0');
    this_month = (now[5] - '0') * 10 + (now[6] - '0');
    return month >= 1 && month <= 12 && year * 12 + month >= this_year * 12 + this_month &&
           year < this_year + 50;
}

static void judge(struct form *f, int64_t now_ms, struct verdict *v)
{
    char number[CARD_DIGITS_MAX + 1], cvc[5];

    *v = (struct verdict){.field = "card", .message = "Your card number is not valid."};
    if (!digits_of(form_get(f, "card"), number, 13, CARD_DIGITS_MAX) || !passes_luhn(number)) {
        wipe(number, sizeof number);
        return;
    }
    (void)snprintf(v->brand, sizeof v->brand, "%s", brand_of(number));
    (void)snprintf(v->last4, sizeof v->last4, "%s", number + strlen(number) - 4);
    if (!expiry_is_good(form_get(f, "expiry"), now_ms)) {
        v->field = "expiry";
        v->message = "Your card's expiry date is not valid.";
    } else if (!digits_of(form_get(f, "cvc"), cvc, 3, 4)) {
        v->field = "cvc";
        v->message = "Your card's security code is not valid.";
    } else {
        v->message = "This is a test page, and this is no test card. Nothing was charged.";
        for (size_t i = 0; i < COUNT_OF(test_cards); i++)
            if (strcmp(test_cards[i].number, number) == 0)
                v->message = test_cards[i].message;
    }
    wipe(number, sizeof number);
    wipe(cvc, sizeof cvc);
}

/* --- HTML ------------------------------------------------------------------------------------------------------------ */

static void put_escaped(struct buf *b, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            buf_put_text(b, "&lt;");
        else if (*text == '>')
            buf_put_text(b, "&gt;");
        else if (*text == '&')
            buf_put_text(b, "&amp;");
        else if (*text == '"')
            buf_put_text(b, "&quot;");
        else if (*text == '\'')
            buf_put_text(b, "&#39;");
        else
            buf_put_u8(b, (uint8_t)*text);
    }
}

static void put_head(struct buf *b, const char *title)
{
    buf_put_text(b,
                 "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
                 "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>");
    put_escaped(b, title);
    buf_put_text(b, "</title><link rel=\"stylesheet\" href=\"/pay/style.css\"></head><body><main>"
                    "<p class=\"test\">Test provider. No money moves.</p>");
}

static void put_tail(struct buf *b)
{
    buf_put_text(b, "</main></body></html>");
}

static void put_field(struct buf *b, const char *name, const char *label, const char *hints,
                      const struct verdict *v)
{
    bool bad = v && v->field && strcmp(v->field, name) == 0;

    buf_put_text(b, "<div class=\"field\"><label for=\"");
    buf_put_text(b, name);
    buf_put_text(b, "\">");
    buf_put_text(b, label);
    buf_put_text(b, "</label><input id=\"");
    buf_put_text(b, name);
    buf_put_text(b, "\" name=\"");
    buf_put_text(b, name);
    buf_put_text(b, "\" inputmode=\"numeric\" required ");
    buf_put_text(b, hints);
    if (bad)
        buf_put_text(b, " aria-invalid=\"true\" aria-describedby=\"problem\" autofocus");
    buf_put_text(b, "></div>");
}

static void put_amount(struct buf *b, const struct session *s)
{
    struct money m = {.amount_minor = s->amount_minor};
    char text[MONEY_TEXT_MAX];

    for (size_t i = 0; i < 3; i++)
        m.currency.code[i] = (char)toupper((unsigned char)s->currency[i]);
    money_format(m, text);
    buf_put_text(b, "<h1>");
    put_escaped(b, s->title);
    buf_put_text(b, "</h1><p class=\"amount\">");
    put_escaped(b, text);
    buf_put_text(b, "</p>");
}

static void put_form(struct buf *b, const struct session *s, const struct verdict *v)
{
    put_head(b, v ? "Payment problem" : "Pay");
    put_amount(b, s);
    if (v) {
        buf_put_text(b, "<p class=\"error\" role=\"alert\" id=\"problem\">");
        put_escaped(b, v->message);
        buf_put_text(b, "</p>");
    }
    buf_put_text(b, "<form method=\"post\" action=\"/pay/");
    put_escaped(b, s->id);
    buf_put_text(b, "\">");
    put_field(b, "card", "Card number",
              "autocomplete=\"cc-number\" maxlength=\"23\" placeholder=\"4242 4242 4242 4242\"", v);
    buf_put_text(b, "<div class=\"pair\">");
    put_field(b, "expiry", "Expiry (MM/YY)",
              "autocomplete=\"cc-exp\" maxlength=\"7\" placeholder=\"12/34\"", v);
    put_field(b, "cvc", "Security code",
              "autocomplete=\"cc-csc\" maxlength=\"4\" placeholder=\"123\"", v);
    buf_put_text(b, "</div><button type=\"submit\">Pay now</button></form>");
    if (s->cancel_url[0]) {
        buf_put_text(b, "<a class=\"back\" href=\"");
        put_escaped(b, s->cancel_url);
        buf_put_text(b, "\">Cancel and go back</a>");
    }
    put_tail(b);
}

static void put_message(struct buf *b, const char *title, const char *words, const char *url)
{
    put_head(b, title);
    buf_put_text(b, "<h1>");
    put_escaped(b, title);
    buf_put_text(b, "</h1><p>");
    put_escaped(b, words);
    buf_put_text(b, "</p>");
    if (url && url[0]) {
        buf_put_text(b, "<a class=\"back\" href=\"");
        put_escaped(b, url);
        buf_put_text(b, "\">Back to the shop</a>");
    }
    put_tail(b);
}

/* --- Answers --------------------------------------------------------------------------------------------------------- */

static size_t origin_len(const char *url)
{
    const char *host = strstr(url, "://");
    return host ? (size_t)(host - url) + 3 + strcspn(host + 3, "/?#") : 0;
}

/*
 * Why the shop's origin is a form target: the answer to the form is a redirect there, and browsers hold redirects of a form to
 * this list. A policy cannot name an IPv6 address, so the scheme stands for one.
 */
static void set_policy(struct http_exchange *x, const struct session *s)
{
    char policy[OBJECT_URL_MAX + 300];
    size_t len = s ? origin_len(s->success_url) : 0;
    const char *six = len > 0 ? memchr(s->success_url, '[', len) : NULL;

    if (six)
        len = strcspn(s->success_url, "/");
    (void)snprintf(policy, sizeof policy,
                   "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
                   "form-action 'self' %.*s",
                   (int)len, s ? s->success_url : "");
    http_header_text(x, "Content-Security-Policy", policy);
    http_header_text(x, "Referrer-Policy", "no-referrer");
}

static void reply_page(struct http_exchange *x, int status, struct buf *b, const struct session *s)
{
    set_policy(x, s);
    http_reply_buf(x, status, "text/html; charset=utf-8", b);
}

/* "{CHECKOUT_SESSION_ID}" in the address becomes the session's id, as Stripe does. */
static void reply_to_shop(struct http_exchange *x, const struct session *s)
{
    static const char mark[] = "{CHECKOUT_SESSION_ID}";
    char url[OBJECT_URL_MAX + OBJECT_ID_MAX];
    const char *at = strstr(s->success_url, mark);

    if (at)
        (void)snprintf(url, sizeof url, "%.*s%s%s", (int)(at - s->success_url), s->success_url,
                       s->id, at + sizeof mark - 1);
    http_header_text(x, "Location", at ? url : s->success_url);
    set_policy(x, s);
    http_reply_empty(x, 303);
}

static enum err charge(struct sandbox *sb, struct session *s, const struct verdict *v)
{
    TRY(kv_begin(sb->kv));
    enum err e = checkout_pay(sb, s, v->brand, v->last4);
    if (e == OK)
        e = kv_commit(sb->kv);
    if (e != OK)
        kv_rollback(sb->kv);
    return e;
}

/* What the page shows; the session as it is afterwards. v->message set: declined. */
static enum err visit(struct sandbox *sb, struct http_exchange *x, struct session *s,
                      struct verdict *v)
{
    struct form form;
    char id[OBJECT_ID_MAX];

    TRY(state_expire_due(sb));
    ENSURE(span_to_text(x->request.segments[1], id, sizeof id) == OK, ERR_NOT_FOUND, "no_row",
           "There is no such session.");
    TRY(state_session(sb, id, s));
    if (x->request.method != HTTP_POST || strcmp(s->status, "open") != 0)
        return OK;
    TRY(form_parse(x->request.body, &x->arena, &form));
    judge(&form, state_now_ms(sb), v);
    return v->message ? OK : charge(sb, s, v);
}

static void handle_session(struct sandbox *sb, struct http_exchange *x)
{
    AUTO(buf_done) struct buf b;
    struct session s = {0};
    struct verdict v = {0};
    bool post = x->request.method == HTTP_POST;

    buf_init(&b, PAGE_MAX);
    pthread_mutex_lock(&sb->lock);
    enum err e = visit(sb, x, &s, &v);
    pthread_mutex_unlock(&sb->lock);
    if (e != OK) {
        bool unknown = e == ERR_NOT_FOUND, bad = e == ERR_INVALID;
        if (!unknown && !bad)
            log_error_info(LOG_ERROR, "the payment page", err_last());
        put_message(&b, unknown ? "No such payment" : "Payment problem",
                    unknown ? "The address may be incomplete." : "Please go back and try again.",
                    NULL);
        reply_page(x, unknown ? 404 : bad ? 400 : 500, &b, NULL);
    } else if (strcmp(s.status, "expired") == 0) {
        put_message(&b, "This payment has expired", "Nothing was charged.", s.cancel_url);
        reply_page(x, post ? 409 : 200, &b, &s);
    } else if (strcmp(s.status, "complete") == 0 && post) {
        reply_to_shop(x, &s);
    } else if (strcmp(s.status, "complete") == 0) {
        put_message(&b, "This payment is done", "You have paid, once.", s.success_url);
        reply_page(x, 200, &b, &s);
    } else {
        put_form(&b, &s, v.message ? &v : NULL);
        reply_page(x, v.message ? 402 : 200, &b, &s);
    }
}

void page_handle(struct sandbox *sb, struct http_exchange *x)
{
    const struct http_request *r = &x->request;
    bool get = r->method == HTTP_GET || r->method == HTTP_HEAD;
    AUTO(buf_done) struct buf b;

    buf_init(&b, PAGE_MAX);
    if (get && span_eq_text(r->path, "/pay/style.css")) {
        http_header_text(x, "Cache-Control", "max-age=3600");
        http_reply_static(x, "text/css; charset=utf-8", span_of(style, sizeof style - 1), NULL);
    } else if (r->segment_count == 2 && span_eq_text(r->segments[0], "pay") &&
               (get || r->method == HTTP_POST)) {
        handle_session(sb, x);
    } else {
        bool root = get && r->segment_count == 0;
        put_message(&b, root ? "gatehouse-sandbox" : "Nothing here",
                    root ? "A payment provider to test against. See docs/sandbox.md."
                         : "The address may be incomplete.",
                    NULL);
        reply_page(x, root ? 200 : 404, &b, NULL);
    }
}
