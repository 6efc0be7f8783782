/* SPDX-License-Identifier: Apache-2.0 */
/* scan_alert - which scans call for a person, and what that person is told. */
#include "door/admission/inner.h"

#include <string.h>

#include "ground/encode/json.h"
#include "watch/alert/alert.h"

/* By the word of the reason. What is not here happens at every door: too early, another event, a shopping bag's bar code. */
static const struct {
    const char *reason;
    enum alert_kind kind;
} causes[] = {
    {"already_admitted", ALERT_duplicate}, {"forged", ALERT_forged},
    {"unknown_key", ALERT_unknown_key},    {"superseded", ALERT_superseded},
    {"refunded", ALERT_refunded},          {"revoked", ALERT_revoked},
    {"suspended", ALERT_suspended},        {"stale_code", ALERT_stale_code},
};

static enum err write_facts(const struct scan_facts *f, struct buf *out)
{
    struct json_writer w;
    char id[ID_TEXT_MAX];

    json_w_init(&w, out);
    json_w_object(&w);
    scan_id_format(f->scan->id, id);
    json_w_kv_cstr(&w, "scan", id);
    device_id_format(f->device->id, id);
    json_w_kv_cstr(&w, "device", id);
    json_w_kv_cstr(&w, "device_name", f->device->name);
    json_w_kv_cstr(&w, "gate", f->device->gate);
    json_w_kv_cstr(&w, "reason", f->scan->reason);
    json_w_kv_i64(&w, "sequence", f->scan->sequence);
    if (f->skipped > 0)
        json_w_kv_i64(&w, "skipped", f->skipped);
    if (f->first) {
        json_w_kv_cstr(&w, "first_gate", f->first->gate);
        json_w_kv_time(&w, "first_at", f->first->received_ms);
    }
    json_w_end(&w);
    return json_w_finish(&w);
}

static enum err raise_about(struct store_tx *tx, const struct scan_facts *f, enum alert_kind kind,
                            bool about_ticket)
{
    AUTO(buf_done) struct buf facts = {0};
    char subject[ID_TEXT_MAX];

    if (about_ticket && !id_is_zero(f->scan->ticket.b))
        ticket_id_format(f->scan->ticket, subject);
    else
        device_id_format(f->device->id, subject);
    buf_init(&facts, ALERT_FACTS_MAX);
    TRY(write_facts(f, &facts));
    struct alert_cause cause = {.kind = kind,
                                .organiser_no = f->device->organiser_no,
                                .event_no = f->device->event_no,
                                .subject = subject,
                                .facts = buf_span(&facts)};
    return alert_raise(tx, &cause, NULL);
}

enum err scan_alerts(struct store_tx *tx, const struct scan_facts *f)
{
    if (f->skipped > 0)
        TRY(raise_about(tx, f, ALERT_sequence_gap, false));
    if (f->unknown_ticket)
        return raise_about(tx, f, ALERT_unknown_ticket, true);
    for (size_t i = 0; i < COUNT_OF(causes); i++)
        if (strcmp(causes[i].reason, f->scan->reason) == 0)
            return raise_about(tx, f, causes[i].kind, true);
    return OK;
}
