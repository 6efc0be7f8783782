/* SPDX-License-Identifier: Apache-2.0 */
/* scan - the two halves of a scan: judged off the writer, recorded in it. */
#include "door/admission/inner.h"

#include <string.h>

#include "sale/ticket/ticket.h"

/* --- Off the writer ---------------------------------------------------------------------------- */

void scan_message(const struct scan_request *req, struct buf *out)
{
    char id[ID_TEXT_MAX];

    device_id_format(req->device, id);
    buf_printf(out, "gatehouse/scan/1\n%s\n%lld\n", id, (long long)req->sequence);
    buf_put_span(out, req->scanned_at);
    buf_put_u8(out, '\n');
    buf_put_span(out, req->code);
}

static enum err check_size(const struct scan_request *req)
{
    ENSURE(req->sequence >= 1, ERR_INVALID, "bad_sequence", "Sequence numbers start at 1.");
    ENSURE(req->scanned_at.len <= TIME_TEXT_MAX && req->code.len <= SCAN_CODE_MAX, ERR_INVALID,
           "too_large", "The scan is larger than any code.");
    return OK;
}

/* Why one answer: whoever has no key learns nothing about which scanners there are. */
static enum err check_signature(enum err found, const uint8_t public_key[ED25519_PUBLIC_BYTES],
                                const struct scan_request *req)
{
    AUTO(buf_done) struct buf message = {0};

    if (found == OK) {
        buf_init(&message, 256 + SCAN_CODE_MAX);
        scan_message(req, &message);
        TRY(buf_check(&message));
        found = ed25519_verify(public_key, buf_span(&message), req->signature);
    }
    ENSURE(found != ERR_NOT_FOUND && found != ERR_DENIED, ERR_UNAUTHENTICATED,
           "bad_device_signature", "The scan is not signed by a scanner of ours.");
    return found;
}

static enum err check_device(struct store_tx *tx, struct arena *a, const struct scan_request *req,
                             struct known_scanner *ret_scanner)
{
    struct device_row d;

    TRY(check_size(req));
    TRY(check_signature(store_device_by_id(tx, a, req->device, &d), d.public_key, req));
    ENSURE(d.active, ERR_DENIED, "device_revoked",
           "This scanner was revoked and may not scan any more.");
    *ret_scanner = (struct known_scanner){
        .id = d.id, .no = d.no, .organiser_no = d.organiser_no, .event_no = d.event_no};
    memcpy(ret_scanner->public_key, d.public_key, sizeof ret_scanner->public_key);
    return OK;
}

/* Other events of the organiser, so that their tickets are told from forged ones: the newest of them, those the signer knows. */
static enum err load_neighbours(struct store_tx *tx, struct admission_keys *keys,
                                const struct event_row *event)
{
    AUTO(arena_done) struct arena a = {0};
    struct store_page page = {.limit = 50};
    struct event_row *events;
    size_t count;

    if (!admission_neighbours_due(keys, event->no))
        return OK;
    arena_init(&a, 4 << 20);
    TRY(store_event_list(tx, &a, event->organiser_no, &page, &events, &count));
    for (size_t i = 0; i < count; i++) {
        if (events[i].status == EVENT_DRAFT)
            continue;
        enum err e = admission_keys_load(keys, event->organiser_no, events[i].no, false);
        if (e != ERR_NOT_FOUND) /* never opened at the signer: it has no tickets */
            TRY(e);
    }
    return OK;
}

/* tx NULL: *ret_more tells that the code can only be read with rows. */
static enum err read_code(struct store_tx *tx, int64_t now_ms, struct admission_keys *keys,
                          const struct event_row *event, struct span code,
                          struct credential_verdict *ret_verdict, bool *ret_more)
{
    struct admission_ring ring = {keys, event->organiser_no, event->no, false, false};
    struct credential_keys look_up = admission_ring_keys(&ring);
    struct credential_expect expect = {.event_number = (uint32_t)event->no,
                                       .now_ms = now_ms,
                                       .opens_ms = event->doors_ms,
                                       .closes_ms = event->ends_ms,
                                       .static_honoured = true};

    TRY(admission_keys_load(keys, event->organiser_no, event->no, false));
    TRY(credential_read(code, &look_up, &expect, ret_verdict));
    *ret_more = !tx && (ring.issuer_missed || ring.gate_missed);
    if (*ret_more)
        return OK;
    if (ring.issuer_missed)
        TRY(admission_keys_load(keys, event->organiser_no, event->no, true));
    if (ring.gate_missed)
        TRY(load_neighbours(tx, keys, event));
    if (ring.issuer_missed || ring.gate_missed)
        return credential_read(code, &look_up, &expect, ret_verdict);
    return OK;
}

enum err admission_expect_code(struct admission_keys *keys, int64_t organiser_no, int64_t event_no,
                               struct span code)
{
    const struct credential_expect expect = {.event_number = (uint32_t)event_no};
    struct admission_ring ring = {keys, organiser_no, event_no, false, false};
    struct credential_keys look_up = admission_ring_keys(&ring);
    struct credential_verdict v;

    TRY(admission_keys_load(keys, organiser_no, event_no, false));
    TRY(credential_read(code, &look_up, &expect, &v));
    if (ring.issuer_missed || ring.gate_missed) {
        TRY(admission_keys_load(keys, organiser_no, event_no, true));
        ring.issuer_missed = false;
        TRY(credential_read(code, &look_up, &expect, &v));
    }
    ENSURE(ring.issuer_missed || (v.has_claims && v.claims.event_number == event_no), ERR_CORRUPT,
           "bad_code", "The signer gave a code that no scanner would believe.");
    return OK;
}

static enum err category_name(struct store_tx *tx, struct arena *a,
                              const struct ticket_claims *claims, const char **ret_name)
{
    struct category_row *rows;
    size_t count;

    TRY(store_category_list(tx, a, claims->event_number, &rows, &count));
    for (size_t i = 0; i < count; i++)
        if (rows[i].no == claims->entry_class)
            *ret_name = rows[i].name;
    return OK;
}

static void judged_by(struct scan_judged *j, const struct known_scanner *scanner,
                      const struct event_row *event, struct span code)
{
    sha256(code, j->code_hash);
    j->device_no = scanner->no;
    j->organiser_no = scanner->organiser_no;
    j->event_no = scanner->event_no;
    j->entries_max = event->entries_max;
    j->signature_checked = true;
}

enum err scan_judge(struct store_tx *tx, struct arena *a, struct admission_keys *keys,
                    const struct scan_request *req, struct scan_judged *ret_judged)
{
    struct scan_judged j = {.category_name = ""};
    struct known_scanner scanner;
    struct event_row event;
    bool more;

    TRY(check_device(tx, a, req, &scanner));
    admission_keep_scanner(keys, &scanner);
    TRY(store_event_by_no(tx, a, scanner.event_no, &event));
    TRY(read_code(tx, store_now_ms(tx), keys, &event, req->code, &j.verdict, &more));
    if (j.verdict.has_claims)
        TRY(category_name(tx, a, &j.verdict.claims, &j.category_name));
    judged_by(&j, &scanner, &event, req->code);
    *ret_judged = j;
    return OK;
}

/* Of a ticket of this event. */
static enum err known_category_name(const struct event_facts *facts, struct arena *a,
                                    const struct ticket_claims *claims, const char **ret_name)
{
    uint64_t no = claims->entry_class;
    const struct category_row *row =
        no < COUNT_OF(facts->categories) ? facts->categories[no] : NULL;

    if (!row)
        return OK;
    char *name = arena_text(a, span_text(row->name));
    ENSURE(name, ERR_NOMEM, "no_memory", "No memory for a scan.");
    *ret_name = name;
    return OK;
}

enum err scan_judge_known(const struct event_facts *facts, int64_t now_ms, struct arena *a,
                          struct admission_keys *keys, const struct scan_request *req,
                          struct scan_judged *ret, bool *ret_judged)
{
    struct scan_judged j = {.category_name = ""};
    struct known_scanner scanner;
    bool more;

    *ret_judged = false;
    if (!admission_find_scanner(keys, req->device, &scanner) || scanner.event_no != facts->row.no)
        return OK;
    TRY(check_size(req));
    TRY(check_signature(OK, scanner.public_key, req));
    TRY(read_code(NULL, now_ms, keys, &facts->row, req->code, &j.verdict, &more));
    if (more || (j.verdict.has_claims && j.verdict.claims.event_number != facts->row.no))
        return OK;
    if (j.verdict.has_claims)
        TRY(known_category_name(facts, a, &j.verdict.claims, &j.category_name));
    judged_by(&j, &scanner, &facts->row, req->code);
    *ret = j;
    *ret_judged = true;
    return OK;
}

/* --- In the writer -------------------------------------------------------------------------------- */

/* Everything about one scan while it is recorded. */
struct recording {
    struct arena arena;
    struct device_row device;
    struct ticket_row ticket;
    bool has_ticket;
    struct scan_facts facts;
    struct scan_row row, first;
};

static void recording_done(struct recording *r)
{
    arena_done(&r->arena);
}

static enum credential_reason of_status(enum ticket_status status)
{
    switch (status) {
    case TICKET_VALID:
        return CREDENTIAL_VALID;
    case TICKET_SUSPENDED:
        return CREDENTIAL_SUSPENDED;
    case TICKET_REFUNDED:
        return CREDENTIAL_REFUNDED;
    case TICKET_SUPERSEDED:
        return CREDENTIAL_SUPERSEDED;
    case TICKET_REVOKED:
        break;
    }
    return CREDENTIAL_REVOKED;
}

/* The ticket that the claims name, and what the store says of it. */
static enum err look_up(struct store_tx *tx, const struct scan_judged *judged, struct recording *r,
                        enum credential_reason *reason)
{
    const struct ticket_claims *c = &judged->verdict.claims;

    *reason = judged->verdict.reason;
    if (!judged->verdict.has_claims) {
        INVARIANT(*reason != CREDENTIAL_VALID, "a valid verdict has claims");
        return OK;
    }
    enum err e = store_ticket_by_id(tx, c->ticket, &r->ticket);
    if (e != ERR_NOT_FOUND)
        TRY(e);
    bool known = e == OK && r->ticket.organiser_no == judged->organiser_no &&
                 r->ticket.event_no == c->event_number && r->ticket.place_no == c->place_no;
    r->has_ticket = known && c->generation <= r->ticket.generation;
    if (!r->has_ticket) {
        /* A3: signed, but not what was sold. */
        r->facts.unknown_ticket = true;
        *reason = CREDENTIAL_FORGED;
    } else if (*reason == CREDENTIAL_VALID) {
        *reason = c->generation < r->ticket.generation ? CREDENTIAL_SUPERSEDED
                                                       : of_status(r->ticket.status);
    }
    return OK;
}

/* Where the ticket was admitted before; the first time is the one to show. */
static enum err find_first(struct store_tx *tx, struct recording *r)
{
    TRY(store_scan_admission(tx, &r->arena, r->ticket.id, 1, &r->first));
    r->facts.first = &r->first;
    return OK;
}

/* Admit once more if the rule allows; *ret_admitted tells. The index has the last word (A1). */
static enum err admit(struct store_tx *tx, const struct scan_judged *judged, struct recording *r,
                      bool *ret_admitted)
{
    int64_t used;

    *ret_admitted = false;
    TRY(store_scan_uses(tx, r->ticket.id, &used));
    if (used < judged->entries_max) {
        r->row.admitted = true;
        r->row.admission_no = used + 1;
        r->row.reason = "ok";
        TRY(store_scan_insert(tx, &r->row, ret_admitted));
    }
    if (*ret_admitted)
        return OK;
    r->row.admitted = false;
    r->row.admission_no = 0;
    return find_first(tx, r);
}

static enum err reject(struct store_tx *tx, struct recording *r, enum credential_reason reason)
{
    bool inserted;

    r->row.reason = credential_reason_word(reason);
    TRY(store_scan_insert(tx, &r->row, &inserted));
    INVARIANT(inserted, "only admissions can be taken");
    return OK;
}

static enum err append(struct store_tx *tx, struct ledger *ledger, const struct recording *r)
{
    const struct scan_row *s = &r->row;
    struct entry_draft d;

    entry_begin(&d, tx, s->admitted ? ENTRY_scan_accepted : ENTRY_scan_rejected, s->organiser_no,
                s->event_no);
    if (s->admitted) {
        TRY(ticket_chain(tx, &r->ticket, &d));
        entry_int(&d, FIELD_admission, s->admission_no);
    } else if (r->has_ticket) {
        entry_id(&d, FIELD_ticket, r->ticket.id.b);
    }
    entry_id(&d, FIELD_scan, s->id.b);
    entry_id(&d, FIELD_device, r->device.id.b);
    entry_str(&d, FIELD_reason, s->reason);
    entry_str(&d, FIELD_gate, r->device.gate);
    entry_int(&d, FIELD_device_sequence, s->sequence);
    entry_int(&d, FIELD_scanned_ms, s->scanned_ms);
    entry_bytes(&d, FIELD_code_hash, SPAN_ARRAY(s->code_hash));
    entry_names(&d, AUDIT_scan, s->id.b);
    return ledger_append(tx, ledger, &d, NULL);
}

/* A new scan: decide, write, tell. */
static enum err record_new(struct store_tx *tx, struct ledger *ledger,
                           const struct scan_request *req, const struct scan_judged *judged,
                           struct recording *r)
{
    enum credential_reason reason;
    int64_t last;
    bool admitted = false;

    TRY(store_scan_last_sequence(tx, r->device.no, &last));
    if (req->sequence > last)
        r->facts.skipped = req->sequence - last - 1;
    TRY(look_up(tx, judged, r, &reason));
    r->row = (struct scan_row){.id = scan_id_make(store_clock(tx), store_rng(tx)),
                               .organiser_no = r->device.organiser_no,
                               .event_no = r->device.event_no,
                               .device_no = r->device.no,
                               .sequence = req->sequence,
                               .scanned_ms = req->scanned_ms,
                               .received_ms = store_now_ms(tx)};
    memcpy(r->row.code_hash, judged->code_hash, sizeof r->row.code_hash);
    if (r->has_ticket)
        r->row.ticket = r->ticket.id;
    if (reason == CREDENTIAL_VALID) {
        TRY(admit(tx, judged, r, &admitted));
        reason = CREDENTIAL_ALREADY_ADMITTED;
    }
    if (!admitted)
        TRY(reject(tx, r, reason));
    TRY(append(tx, ledger, r));
    r->facts.device = &r->device;
    r->facts.scan = &r->row;
    return scan_alerts(tx, &r->facts);
}

static enum credential_reason reason_of_word(const char *word)
{
    int i = 0;

    while (i < CREDENTIAL_VALID &&
           strcmp(credential_reason_word((enum credential_reason)i), word) != 0)
        i++;
    return (enum credential_reason)i;
}

/* The answer is a function of the stored row, so that the same scan sent again is answered the same. */
static enum err answer(struct store_tx *tx, const struct scan_judged *judged, struct arena *a,
                       const struct scan_row *row, struct scan_result *ret_result)
{
    enum credential_reason reason = reason_of_word(row->reason);
    struct scan_result out = {.scan = row->id,
                              .admitted = row->admitted,
                              .reason = row->admitted ? "ok" : credential_reason_word(reason),
                              .say =
                                  row->admitted ? "Please come in." : credential_reason_say(reason),
                              .ticket = row->ticket,
                              .category_name = judged->category_name,
                              .form = "",
                              .entries_used = row->admission_no,
                              .entries_max = judged->entries_max};
    struct scan_row first;

    if (judged->verdict.has_claims) {
        memcpy(out.place, judged->verdict.claims.place, sizeof out.place);
        out.form = credential_form_word(judged->verdict.claims.form);
    }
    if (!row->admitted && !id_is_zero(row->ticket.b))
        TRY(store_scan_uses_before(tx, row->ticket, row->scan_no, &out.entries_used));
    if (!row->admitted && reason == CREDENTIAL_ALREADY_ADMITTED) {
        TRY(store_scan_admission(tx, a, row->ticket, 1, &first));
        out.first_ms = first.received_ms;
        TRY(span_to_text(span_text(first.gate), out.first_gate, sizeof out.first_gate));
    }
    *ret_result = out;
    return OK;
}

enum err scan_record(struct store_tx *tx, struct ledger *ledger, const struct scan_request *req,
                     const struct scan_judged *judged, struct scan_result *ret_result)
{
    AUTO(recording_done) struct recording r = {0};
    struct scan_row stored;

    INVARIANT(judged->signature_checked, "only what scan_judge let pass is recorded");
    arena_init(&r.arena, 16384);
    TRY(store_device_by_id(tx, &r.arena, req->device, &r.device));
    ENSURE(r.device.active && r.device.no == judged->device_no &&
               r.device.event_no == judged->event_no,
           ERR_DENIED, "device_revoked", "This scanner was revoked and may not scan any more.");
    enum err e = store_scan_by_sequence(tx, &r.arena, r.device.no, req->sequence, &stored);
    if (e == ERR_NOT_FOUND) {
        TRY(record_new(tx, ledger, req, judged, &r));
        e = store_scan_by_sequence(tx, &r.arena, r.device.no, req->sequence, &stored);
    }
    TRY(e);
    ENSURE(crypto_eq(stored.code_hash, judged->code_hash, sizeof stored.code_hash), ERR_CONFLICT,
           "sequence_reused", "This scanner has used the number for another code.");
    return answer(tx, judged, &r.arena, &stored, ret_result);
}
