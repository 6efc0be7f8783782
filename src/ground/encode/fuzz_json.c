/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes: parse, read as a request body would, write the texts back and read them again. */
#include <string.h>

#include "ground/encode/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err write_back(void *context, struct span key, struct span value)
{
    struct json_writer *w = context;
    json_w_key(w, (const char *)key.data);
    json_w_text(w, value);
    return OK;
}

static enum err check_round_trip(struct json_object *o)
{
    AUTO(buf_done) struct buf out;
    AUTO(json_doc_free) struct json_doc *again = NULL;
    struct json_writer w;

    buf_init(&out, 1 << 20);
    json_w_init(&w, &out);
    json_w_object(&w);
    TRY(json_each_text(o, 1000, 100000, write_back, &w));
    json_w_end(&w);
    INVARIANT(json_w_finish(&w) == OK, "what was read can be written");
    INVARIANT(json_parse(buf_span(&out), 1 << 20, &again) == OK, "what was written can be read");
    return OK;
}

static enum err use(struct span text)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct json_object o, inner;
    struct json_array a;
    struct span s;
    int64_t n;
    bool b;

    TRY(json_parse(text, 65536, &doc));
    TRY(json_root(doc, &o));
    (void)(json_opt_text(&o, "name", 100, &s) || json_opt_i64(&o, "count", 1, 10, &n) ||
           json_opt_bool(&o, "yes", &b));
    if (json_need_array(&o, "seats", 8, &a) == OK)
        for (size_t i = 0; i < a.count; i++)
            (void)(json_item_text(&a, i, 40, &s) || json_item_object(&a, i, &inner));
    if (json_need_object(&o, "in", &inner) == OK)
        (void)(json_need_i64(&inner, "n", 0, 9, &n) || json_object_end(&inner));
    (void)!json_object_end(&o);
    return check_round_trip(&o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)!use(span_of(data, size));
    return 0;
}
