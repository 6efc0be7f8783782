/* SPDX-License-Identifier: Apache-2.0 */
#include "prog/sandbox/objects.h"

static void put_meta(struct json_writer *w, const struct meta *m)
{
    json_w_key(w, "metadata");
    json_w_raw(w, span_text(m->json[0] ? m->json : "{}"));
}

/* null for an empty text. */
static void put_opt(struct json_writer *w, const char *key, const char *text)
{
    json_w_kv_cstr(w, key, text[0] ? text : NULL);
}

static void put_card_types(struct json_writer *w)
{
    json_w_kv_array(w, "payment_method_types");
    json_w_cstr(w, "card");
    json_w_end(w);
}

static enum err text(struct json_object *o, const char *key, char *out, size_t size)
{
    struct span s = {0};
    TRY(json_opt_text(o, key, size - 1, &s));
    return span_to_text(s, out, size);
}

static enum err copy_meta(void *context, struct span key, struct span value)
{
    char name[64];
    TRY(span_to_text(key, name, sizeof name));
    json_w_kv_text(context, name, value);
    return OK;
}

static enum err read_meta(struct json_object *o, struct meta *m)
{
    struct json_object inner;
    struct json_writer w;
    AUTO(buf_done) struct buf b;

    buf_init(&b, META_MAX - 1);
    TRY(json_need_object(o, "metadata", &inner));
    json_w_init(&w, &b);
    json_w_object(&w);
    TRY(json_each_text(&inner, 50, 600, copy_meta, &w));
    json_w_end(&w);
    TRY(json_w_finish(&w));
    return span_to_text(buf_span(&b), m->json, sizeof m->json);
}

enum err session_write(const struct session *s, struct buf *out)
{
    struct json_writer w;

    json_w_init(&w, out);
    json_w_object(&w);
    json_w_kv_cstr(&w, "id", s->id);
    json_w_kv_cstr(&w, "object", "checkout.session");
    json_w_kv_i64(&w, "amount_subtotal", s->amount_minor);
    json_w_kv_i64(&w, "amount_total", s->amount_minor);
    put_opt(&w, "cancel_url", s->cancel_url);
    put_opt(&w, "client_reference_id", s->client_reference);
    json_w_kv_i64(&w, "created", s->created_s);
    json_w_kv_cstr(&w, "currency", s->currency);
    put_opt(&w, "customer_email", s->customer_email);
    json_w_kv_i64(&w, "expires_at", s->expires_s);
    json_w_kv_bool(&w, "livemode", false);
    put_meta(&w, &s->metadata);
    json_w_kv_cstr(&w, "mode", "payment");
    put_opt(&w, "payment_intent", s->intent);
    put_card_types(&w);
    json_w_kv_cstr(&w, "payment_status", s->payment_status);
    json_w_kv_cstr(&w, "status", s->status);
    json_w_kv_cstr(&w, "success_url", s->success_url);
    json_w_kv_cstr(&w, "url", span_eq_text(span_text(s->status), "open") ? s->url : NULL);
    json_w_kv_object(&w, "sandbox");
    json_w_kv_cstr(&w, "title", s->title);
    json_w_kv_cstr(&w, "page", s->url);
    json_w_end(&w);
    json_w_end(&w);
    return json_w_finish(&w);
}

enum err session_read(struct span json, struct session *s)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct json_object o, more;

    TRY(json_parse(json, OBJECT_JSON_MAX, &doc));
    TRY(json_root(doc, &o));
    TRY(text(&o, "id", s->id, sizeof s->id));
    TRY(text(&o, "payment_intent", s->intent, sizeof s->intent));
    TRY(text(&o, "status", s->status, sizeof s->status));
    TRY(text(&o, "payment_status", s->payment_status, sizeof s->payment_status));
    TRY(text(&o, "currency", s->currency, sizeof s->currency));
    TRY(text(&o, "client_reference_id", s->client_reference, sizeof s->client_reference));
    TRY(text(&o, "customer_email", s->customer_email, sizeof s->customer_email));
    TRY(text(&o, "success_url", s->success_url, sizeof s->success_url));
    TRY(text(&o, "cancel_url", s->cancel_url, sizeof s->cancel_url));
    TRY(json_need_i64(&o, "amount_total", 0, INT64_MAX, &s->amount_minor));
    TRY(json_need_i64(&o, "created", 0, INT64_MAX, &s->created_s));
    TRY(json_need_i64(&o, "expires_at", 0, INT64_MAX, &s->expires_s));
    TRY(read_meta(&o, &s->metadata));
    TRY(json_need_object(&o, "sandbox", &more));
    TRY(text(&more, "title", s->title, sizeof s->title));
    return text(&more, "page", s->url, sizeof s->url);
}

enum err intent_write(const struct intent *i, struct buf *out)
{
    struct json_writer w;

    json_w_init(&w, out);
    json_w_object(&w);
    json_w_kv_cstr(&w, "id", i->id);
    json_w_kv_cstr(&w, "object", "payment_intent");
    json_w_kv_i64(&w, "amount", i->amount_minor);
    json_w_kv_i64(&w, "amount_received", i->amount_minor);
    json_w_kv_i64(&w, "created", i->created_s);
    json_w_kv_cstr(&w, "currency", i->currency);
    json_w_kv_cstr(&w, "latest_charge", i->charge);
    json_w_kv_bool(&w, "livemode", false);
    json_w_kv_object(&w, "metadata");
    json_w_end(&w);
    put_card_types(&w);
    json_w_kv_cstr(&w, "status", "succeeded");
    json_w_kv_object(&w, "sandbox");
    json_w_kv_cstr(&w, "session", i->session);
    json_w_kv_cstr(&w, "card_brand", i->card_brand);
    json_w_kv_cstr(&w, "card_last4", i->card_last4);
    json_w_kv_i64(&w, "refunded", i->refunded_minor);
    json_w_end(&w);
    json_w_end(&w);
    return json_w_finish(&w);
}

enum err intent_read(struct span json, struct intent *i)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct json_object o, more;

    TRY(json_parse(json, OBJECT_JSON_MAX, &doc));
    TRY(json_root(doc, &o));
    TRY(text(&o, "id", i->id, sizeof i->id));
    TRY(text(&o, "latest_charge", i->charge, sizeof i->charge));
    TRY(text(&o, "currency", i->currency, sizeof i->currency));
    TRY(json_need_i64(&o, "amount", 0, INT64_MAX, &i->amount_minor));
    TRY(json_need_i64(&o, "created", 0, INT64_MAX, &i->created_s));
    TRY(json_need_object(&o, "sandbox", &more));
    TRY(text(&more, "session", i->session, sizeof i->session));
    TRY(text(&more, "card_brand", i->card_brand, sizeof i->card_brand));
    TRY(text(&more, "card_last4", i->card_last4, sizeof i->card_last4));
    return json_need_i64(&more, "refunded", 0, INT64_MAX, &i->refunded_minor);
}

enum err refund_write(const struct refund *r, struct buf *out)
{
    struct json_writer w;

    json_w_init(&w, out);
    json_w_object(&w);
    json_w_kv_cstr(&w, "id", r->id);
    json_w_kv_cstr(&w, "object", "refund");
    json_w_kv_i64(&w, "amount", r->amount_minor);
    json_w_kv_cstr(&w, "charge", r->charge);
    json_w_kv_i64(&w, "created", r->created_s);
    json_w_kv_cstr(&w, "currency", r->currency);
    put_meta(&w, &r->metadata);
    json_w_kv_cstr(&w, "payment_intent", r->intent);
    put_opt(&w, "reason", r->reason);
    json_w_kv_cstr(&w, "status", r->status);
    json_w_end(&w);
    return json_w_finish(&w);
}

enum err refund_read(struct span json, struct refund *r)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct json_object o;

    TRY(json_parse(json, OBJECT_JSON_MAX, &doc));
    TRY(json_root(doc, &o));
    TRY(text(&o, "id", r->id, sizeof r->id));
    TRY(text(&o, "payment_intent", r->intent, sizeof r->intent));
    TRY(text(&o, "charge", r->charge, sizeof r->charge));
    TRY(text(&o, "currency", r->currency, sizeof r->currency));
    TRY(text(&o, "reason", r->reason, sizeof r->reason));
    TRY(text(&o, "status", r->status, sizeof r->status));
    TRY(json_need_i64(&o, "amount", 0, INT64_MAX, &r->amount_minor));
    TRY(json_need_i64(&o, "created", 0, INT64_MAX, &r->created_s));
    return read_meta(&o, &r->metadata);
}
