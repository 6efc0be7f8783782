/* SPDX-License-Identifier: Apache-2.0 */
#include "sale/catalog/catalog.h"

#include <string.h>

#include "sale/catalog/catalog_entry.h"
#include "sale/catalog/zone.h"

enum { TEXTS_MAX = 64 << 10 };

void catalog_entry(struct entry_draft *d, struct store_tx *tx, enum entry_kind kind,
                   const struct catalog_actor *by, int64_t organiser_no, int64_t event_no)
{
    entry_begin(d, tx, kind, organiser_no, event_no);
    if (by && by->person_no != 0)
        entry_person(d, FIELD_actor, by->person_no, span_of(by->account.b, ID_BYTES));
}

enum err catalog_text(struct arena *a, struct span text, const char **ret_text)
{
    ENSURE(span_find(text, 0) == text.len, ERR_INVALID, "bad_text", "Text must not hold a NUL.");
    *ret_text = arena_text(a, text);
    ENSURE(*ret_text, ERR_NOMEM, "no_memory", "No memory for the request.");
    return OK;
}

enum err id_reused(void)
{
    FAIL_AT("#/id", ERR_CONFLICT, "id_reused", "This id was used for something else.");
}

enum err catalog_found(enum err code, bool *ret_found)
{
    *ret_found = code == OK;
    if (code == ERR_NOT_FOUND) {
        err_clear();
        return OK;
    }
    return code;
}

/* --- organisers ------------------------------------------------------------------------------------------------------ */

static enum err check_slug(struct span slug)
{
    bool ok = slug.len >= 1 && slug.len <= CATALOG_SLUG_MAX;

    for (size_t i = 0; i < slug.len && ok; i++) {
        uint8_t c = slug.data[i];
        bool inside = i > 0 && i + 1 < slug.len;
        ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && inside);
    }
    ENSURE_AT(ok, "#/slug", ERR_INVALID, "bad_slug",
              "A short name has 1 to %d of a-z, 0-9 and, inside, hyphens.", CATALOG_SLUG_MAX);
    return OK;
}

static enum err organiser_append(struct store_tx *tx, const struct catalog *c,
                                 const struct catalog_actor *by, const struct organiser_row *row)
{
    struct entry_draft d;

    catalog_entry(&d, tx, ENTRY_organiser_created, by, row->no, 0);
    entry_id(&d, FIELD_organiser, row->id.b);
    entry_str(&d, FIELD_name, row->name);
    entry_names(&d, AUDIT_organiser, row->id.b);
    return ledger_append(tx, c->ledger, &d, NULL);
}

static enum err organiser_make(struct store_tx *tx, const struct catalog *c,
                               const struct catalog_actor *by, struct arena *a,
                               const struct organiser_request *req, int64_t *ret_no)
{
    struct organiser_row row = {.id = req->id, .created_ms = store_now_ms(tx)}, old;
    bool taken;

    TRY(catalog_text(a, req->name, &row.name));
    TRY(catalog_text(a, req->slug, &row.slug));
    TRY(catalog_found(store_organiser_by_id(tx, a, req->id, &old), &taken));
    if (taken) {
        if (strcmp(old.name, row.name) != 0 || strcmp(old.slug, row.slug) != 0)
            return id_reused();
        *ret_no = old.no;
        return OK;
    }
    TRY(store_organiser_slug_taken(tx, row.slug, &taken));
    ENSURE_AT(!taken, "#/slug", ERR_CONFLICT, "slug_taken", "Another organiser has this name.");
    TRY(store_organiser_insert(tx, &row));
    TRY(store_organiser_by_id(tx, a, req->id, &row));
    TRY(organiser_append(tx, c, by, &row));
    *ret_no = row.no;
    return OK;
}

enum err organiser_create(struct store_tx *tx, const struct catalog *c,
                          const struct catalog_actor *by, const struct organiser_request *req,
                          int64_t *ret_organiser_no)
{
    AUTO(arena_done) struct arena a;

    arena_init(&a, TEXTS_MAX);
    ENSURE_AT(!id_is_zero(req->id.b), "#/id", ERR_INVALID, "bad_id", "The id is missing.");
    TRY(utf8_check_line(req->name, CATALOG_NAME_MAX, "#/name"));
    TRY(check_slug(req->slug));
    return organiser_make(tx, c, by, &a, req, ret_organiser_no);
}

/* --- venues ---------------------------------------------------------------------------------------------------------- */

static enum err check_zone(const struct catalog *c, struct span name)
{
    AUTO(zone_free) struct zone *z = NULL;

    TRY(zone_check_name(name, "#/time_zone"));
    if (zone_open(c->zoneinfo_dir, name, &z) == OK)
        return OK;
    FAIL_AT("#/time_zone", ERR_INVALID, "bad_time_zone",
            "This system does not know that time zone.");
}

static enum err venue_append(struct store_tx *tx, const struct catalog *c,
                             const struct catalog_actor *by, const struct venue_row *row)
{
    struct entry_draft d;

    catalog_entry(&d, tx, ENTRY_venue_created, by, row->organiser_no, 0);
    entry_id(&d, FIELD_venue, row->id.b);
    entry_str(&d, FIELD_name, row->name);
    entry_names(&d, AUDIT_venue, row->id.b);
    return ledger_append(tx, c->ledger, &d, NULL);
}

enum err venue_create(struct store_tx *tx, const struct catalog *c, const struct catalog_actor *by,
                      int64_t organiser_no, const struct venue_request *req)
{
    struct venue_row row = {.id = req->id, .organiser_no = organiser_no}, old;
    AUTO(arena_done) struct arena a;
    bool taken;

    arena_init(&a, TEXTS_MAX);
    ENSURE_AT(!id_is_zero(req->id.b), "#/id", ERR_INVALID, "bad_id", "The id is missing.");
    TRY(utf8_check_line(req->name, CATALOG_NAME_MAX, "#/name"));
    if (req->address.len > 0)
        TRY(utf8_check_paragraph(req->address, CATALOG_ADDRESS_MAX, "#/address"));
    TRY(check_zone(c, req->time_zone));
    TRY(catalog_text(&a, req->name, &row.name));
    TRY(catalog_text(&a, req->address, &row.address));
    TRY(catalog_text(&a, req->time_zone, &row.time_zone));
    row.created_ms = store_now_ms(tx);
    TRY(catalog_found(store_venue_by_id(tx, &a, req->id, &old), &taken));
    if (taken) {
        bool same = old.organiser_no == organiser_no && strcmp(old.name, row.name) == 0 &&
                    strcmp(old.address, row.address) == 0 &&
                    strcmp(old.time_zone, row.time_zone) == 0;
        return same ? OK : id_reused();
    }
    TRY(store_venue_insert(tx, &row));
    return venue_append(tx, c, by, &row);
}

enum err venue_get(struct store_tx *tx, struct arena *a, int64_t organiser_no, struct venue_id id,
                   struct venue_row *ret_venue)
{
    struct venue_row row;

    TRY(store_venue_by_id(tx, a, id, &row));
    ENSURE(row.organiser_no == organiser_no, ERR_NOT_FOUND, "no_venue", "There is no such thing.");
    *ret_venue = row;
    return OK;
}

/* --- plans ----------------------------------------------------------------------------------------------------------- */

enum { SOURCE_STORED_MAX = 64 << 20, REPAIRS_MAX = 64 << 10 };

enum err plan_ready_init(struct plan_ready *r, const struct plan *p,
                         const struct plan_repairs *repairs)
{
    static const struct plan_repairs none;

    buf_init(&r->source, SOURCE_STORED_MAX);
    buf_init(&r->packed, PACKED_MAX);
    buf_init(&r->repairs, REPAIRS_MAX);
    TRY(plan_export(p, true, &r->source));
    TRY(plan_pack(p, &r->packed));
    TRY(plan_repairs_json(repairs ? repairs : &none, &r->repairs));
    sha256(buf_span(&r->packed), r->packed_hash);
    r->places = plan_places(p);
    r->seats = p->seat_count;
    return OK;
}

void plan_ready_done(struct plan_ready *r)
{
    buf_done(&r->source);
    buf_done(&r->packed);
    buf_done(&r->repairs);
}

static enum err plan_append(struct store_tx *tx, const struct catalog *c,
                            const struct catalog_actor *by, const struct plan_row *row)
{
    struct entry_draft d;

    catalog_entry(&d, tx, ENTRY_plan_imported, by, row->organiser_no, 0);
    entry_id(&d, FIELD_plan, row->id.b);
    entry_id(&d, FIELD_venue, row->venue.b);
    entry_str(&d, FIELD_name, row->name);
    entry_bytes(&d, FIELD_digest, SPAN_ARRAY(row->packed_hash));
    entry_int(&d, FIELD_capacity, row->places);
    entry_names(&d, AUDIT_plan, row->id.b);
    return ledger_append(tx, c->ledger, &d, NULL);
}

/* Why the hash and not the bytes: the source is megabytes, and its places are what is sold. */
static bool same_plan(const struct plan_row *old, const struct plan_row *row)
{
    return old->organiser_no == row->organiser_no && old->venue_no == row->venue_no &&
           strcmp(old->name, row->name) == 0 &&
           memcmp(old->packed_hash, row->packed_hash, sizeof row->packed_hash) == 0;
}

enum err plan_create(struct store_tx *tx, const struct catalog *c, const struct catalog_actor *by,
                     int64_t organiser_no, const struct plan_request *req)
{
    struct plan_row row = {.id = req->id, .organiser_no = organiser_no, .venue = req->venue}, old;
    struct venue_row venue;
    AUTO(arena_done) struct arena a;
    bool taken;

    arena_init(&a, 4 * TEXTS_MAX);
    ENSURE_AT(!id_is_zero(req->id.b), "#/id", ERR_INVALID, "bad_id", "The id is missing.");
    TRY(utf8_check_line(req->name, CATALOG_NAME_MAX, "#/name"));
    TRY(catalog_text(&a, req->name, &row.name));
    TRY(catalog_text(&a, buf_span(&req->ready->repairs), &row.repairs));
    TRY(venue_get(tx, &a, organiser_no, req->venue, &venue));
    row.venue_no = venue.no;
    row.places = req->ready->places;
    row.seats = req->ready->seats;
    row.created_ms = store_now_ms(tx);
    memcpy(row.packed_hash, req->ready->packed_hash, sizeof row.packed_hash);
    TRY(catalog_found(store_plan_by_id(tx, &a, req->id, &old), &taken));
    if (taken)
        return same_plan(&old, &row) ? OK : id_reused();
    TRY(store_plan_insert(tx, &row, buf_span(&req->ready->source), buf_span(&req->ready->packed)));
    return plan_append(tx, c, by, &row);
}

enum err plan_get(struct store_tx *tx, struct arena *a, int64_t organiser_no, struct plan_id id,
                  struct plan_row *ret_plan)
{
    struct plan_row row;

    TRY(store_plan_by_id(tx, a, id, &row));
    ENSURE(row.organiser_no == organiser_no, ERR_NOT_FOUND, "no_plan", "There is no such thing.");
    *ret_plan = row;
    return OK;
}

enum err plan_export_stored(struct store_tx *tx, int64_t plan_no, struct buf *out)
{
    AUTO(plan_free) struct plan *p = NULL;
    AUTO(buf_done) struct buf source;
    AUTO(json_doc_free) struct json_doc *doc = NULL;
    struct json_object root;
    struct plan_repairs repairs;

    buf_init(&source, SOURCE_STORED_MAX);
    TRY(store_plan_source(tx, plan_no, &source));
    TRY(json_parse(buf_span(&source), SOURCE_STORED_MAX, &doc));
    TRY(json_root(doc, &root));
    TRY(plan_import_object(&root, &p, &repairs));
    return plan_export(p, false, out);
}

enum err plan_of_event(struct store_tx *tx, int64_t event_no, struct packed **ret_packed)
{
    AUTO(buf_done) struct buf bytes;

    buf_init(&bytes, PACKED_MAX);
    TRY(store_plan_packed_by_event(tx, event_no, &bytes));
    return plan_unpack(buf_span(&bytes), ret_packed);
}
