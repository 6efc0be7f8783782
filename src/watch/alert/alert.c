/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/alert/alert.h"

#include <string.h>

#include "ground/encode/json.h"
#include "store/store/notes.h"

static const struct {
    const char *name;
    int severity;
    const char *title, *todo;
} kinds[] = {
#define ALERT(name, severity, title, todo) [ALERT_##name] = {#name, severity, title, todo},
#include "watch/alert/alerts.def"
#undef ALERT
};

const char *alert_kind_name(enum alert_kind kind)
{
    return kinds[kind].name;
}

int alert_severity(enum alert_kind kind)
{
    return kinds[kind].severity;
}

const char *alert_title(enum alert_kind kind)
{
    return kinds[kind].title;
}

const char *alert_todo(enum alert_kind kind)
{
    return kinds[kind].todo;
}

enum err alert_kind_parse(struct span text, enum alert_kind *ret_kind)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (span_eq_text(text, kinds[i].name)) {
            *ret_kind = (enum alert_kind)i;
            return OK;
        }
    }
    FAIL(ERR_NOT_FOUND, "no_alert_kind", "There is no such kind of alert.");
}

/* {"count":n, and the members of facts. */
static enum err facts_write(int64_t count, struct span facts, struct buf *out)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct json_object root;

    buf_printf(out, "{\"count\":%lld", (long long)count);
    if (facts.len > 0) {
        enum err e = json_parse(facts, ALERT_FACTS_MAX, &doc);
        if (e == OK)
            e = json_root(doc, &root);
        ENSURE(e == OK && facts.data[0] == '{' && facts.data[facts.len - 1] == '}' &&
                   !json_has(&root, "count"),
               ERR_INVALID, "bad_facts", "The facts of an alert are one small JSON object.");
        if (facts.len > 2)
            buf_put_u8(out, ',');
        buf_put_span(out, span_sub(facts, 1, facts.len - 2));
    }
    buf_put_u8(out, '}');
    return buf_check(out);
}

/* How often it was counted. */
static enum err facts_count(const char *facts, int64_t *ret_count)
{
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct json_object root;

    TRY(json_parse(span_text(facts), ALERT_FACTS_MAX + 64, &doc));
    TRY(json_root(doc, &root));
    return json_need_i64(&root, "count", 1, INT64_MAX - 1, ret_count);
}

static void tell(struct store_tx *tx, int64_t alert_no, int64_t organiser_no)
{
    store_note(tx, (struct store_note){.kind = NOTE_ALERT, .a = alert_no, .c = organiser_no});
}

static enum err raise_new(struct store_tx *tx, const struct alert_cause *cause,
                          int64_t *ret_alert_no)
{
    AUTO(buf_done) struct buf facts = {0};
    struct alert_row row = {.organiser_no = cause->organiser_no,
                            .event_no = cause->event_no,
                            .id = alert_id_make(store_clock(tx), store_rng(tx)),
                            .kind = alert_kind_name(cause->kind),
                            .severity = alert_severity(cause->kind),
                            .subject = cause->subject,
                            .at_ms = store_now_ms(tx)};

    buf_init(&facts, ALERT_FACTS_MAX + 64);
    TRY(facts_write(1, cause->facts, &facts));
    row.facts = buf_text(&facts);
    return store_alert_insert(tx, &row, ret_alert_no);
}

static enum err merge(struct store_tx *tx, const struct alert_row *open,
                      const struct alert_cause *cause)
{
    AUTO(buf_done) struct buf facts = {0};
    int64_t count;

    buf_init(&facts, ALERT_FACTS_MAX + 64);
    TRY(facts_count(open->facts, &count));
    TRY(facts_write(count + 1, cause->facts, &facts));
    return store_alert_merge(tx, open->alert_no, buf_text(&facts));
}

enum err alert_raise(struct store_tx *tx, const struct alert_cause *cause, int64_t *ret_alert_no)
{
    AUTO(arena_done) struct arena a = {0};
    struct alert_row open;
    int64_t alert_no;

    ENSURE(cause->kind < ALERT_KIND_COUNT && strlen(cause->subject) <= ALERT_SUBJECT_MAX,
           ERR_INVALID, "bad_alert", "An alert has a known kind and a short subject.");
    arena_init(&a, 65536);
    enum err e = store_alert_open_like(tx, &a, cause->organiser_no, cause->event_no,
                                       alert_kind_name(cause->kind), cause->subject,
                                       store_now_ms(tx) - ALERT_MERGE_MS, &open);
    if (e == ERR_NOT_FOUND) {
        TRY(raise_new(tx, cause, &alert_no));
    } else {
        TRY(e);
        TRY(merge(tx, &open, cause));
        alert_no = open.alert_no;
    }
    tell(tx, alert_no, cause->organiser_no);
    if (ret_alert_no)
        *ret_alert_no = alert_no;
    return OK;
}

enum err alert_acknowledge(struct store_tx *tx, struct alert_id id, int64_t account_no)
{
    AUTO(arena_done) struct arena a = {0};
    struct alert_row row;
    bool changed;

    arena_init(&a, 65536);
    TRY(store_alert_by_id(tx, &a, id, &row));
    TRY(store_alert_acknowledge(tx, id, account_no, &changed));
    if (changed)
        tell(tx, row.alert_no, row.organiser_no);
    return OK;
}
