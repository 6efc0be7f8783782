/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/signer/state.h"

#include <string.h>

enum { EVENTS_MAX = 1 << 20, MINTS_MAX = 1 << 25, PLACES_MAX = 1 << 24 };

static struct table_key event_key(uint32_t event_no)
{
    return (struct table_key){event_no, 0, 0, 0};
}

static struct table_key place_key(uint32_t event_no, uint32_t place_no)
{
    return (struct table_key){event_no, place_no, 0, 0};
}

struct state_event *state_event(const struct state *s, uint32_t event_no)
{
    struct table_key key = event_key(event_no);
    return table_find(&s->events, &key);
}

const struct state_mint *state_mint(const struct state *s, uint32_t event_no, uint32_t place_no,
                                    uint32_t generation, uint8_t form)
{
    struct table_key key = {event_no, place_no, generation, form};
    return table_find(&s->mints, &key);
}

static enum err apply_event(struct state *s, const struct journal_record *r)
{
    struct state_event *event = state_event(s, r->event_no);
    struct table_key key = event_key(r->event_no);
    void *slot;

    ENSURE((event != NULL) == (r->kind == JOURNAL_EVENT_LIMITS), ERR_CORRUPT, "journal_broken",
           "The mint journal opens an event twice, or limits one that is not open.");
    if (!event) {
        TRY(table_add(&s->events, &key, &slot));
        event = slot;
        event->organiser_no = r->organiser_no;
        event->test_mode = r->form != 0;
    }
    event->places = r->places;
    event->capacity = r->capacity;
    return OK;
}

static enum err apply_mint(struct state *s, const struct journal_record *r)
{
    struct table_key mint_key = {r->event_no, r->place_no, r->generation, r->form};
    struct table_key key = place_key(r->event_no, r->place_no);
    struct state_event *event = state_event(s, r->event_no);
    struct state_place *place = table_find(&s->places, &key);
    void *slot;

    ENSURE(event && !table_find(&s->mints, &mint_key), ERR_CORRUPT, "journal_broken",
           "The mint journal mints twice, or for an event that is not open.");
    if (!place) {
        TRY(table_add(&s->places, &key, &slot));
        place = slot;
        event->live++;
    }
    TRY(table_add(&s->mints, &mint_key, &slot));
    struct state_mint *mint = slot;
    mint->kid = r->kid;
    memcpy(mint->claims_hash, r->claims_hash, sizeof mint->claims_hash);
    if (r->generation > place->generation)
        place->generation = r->generation;
    return OK;
}

static enum err apply(void *context, const struct journal_record *r)
{
    struct state *s = context;
    return r->kind == JOURNAL_MINT ? apply_mint(s, r) : apply_event(s, r);
}

enum err state_open(const struct disk *disk, struct state *ret_state)
{
    *ret_state = (struct state){.journal.handle = -1};
    table_init(&ret_state->events, sizeof(struct state_event), EVENTS_MAX);
    table_init(&ret_state->mints, sizeof(struct state_mint), MINTS_MAX);
    table_init(&ret_state->places, sizeof(struct state_place), PLACES_MAX);
    return journal_open(disk, apply, ret_state, &ret_state->journal);
}

void state_done(struct state *s)
{
    journal_close(&s->journal);
    table_done(&s->events);
    table_done(&s->mints);
    table_done(&s->places);
}

enum err state_mint_check(const struct state *s, const struct journal_record *wanted,
                          const struct state_mint **ret_known)
{
    const struct state_event *event = state_event(s, wanted->event_no);
    struct table_key key = place_key(wanted->event_no, wanted->place_no);
    const struct state_place *place = table_find(&s->places, &key);

    ENSURE(event, ERR_NOT_FOUND, "event_not_open", "The signer has not opened this event.");
    ENSURE(wanted->place_no < event->places, ERR_LIMIT, "capacity",
           "The event has no place of this number.");
    ENSURE(!place || wanted->generation >= place->generation, ERR_CONFLICT, "superseded",
           "A newer ticket has been made for this place.");
    const struct state_mint *known =
        state_mint(s, wanted->event_no, wanted->place_no, wanted->generation, wanted->form);
    ENSURE(!known ||
               memcmp(known->claims_hash, wanted->claims_hash, sizeof known->claims_hash) == 0,
           ERR_CONFLICT, "mint_conflict",
           "Another ticket has been made for this place, generation and form.");
    ENSURE(place || event->live < event->capacity, ERR_LIMIT, "capacity",
           "The event's approved capacity is used up.");
    *ret_known = known;
    return OK;
}

enum err state_record(struct state *s, struct journal_record *record)
{
    TRY(journal_append(&s->journal, record));
    return apply(s, record);
}
