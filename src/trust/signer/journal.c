/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/signer/journal.h"

#include <inttypes.h>
#include <string.h>

#include "ground/crypto/crypto.h"

enum { HASHED_BYTES = 96, SEGMENT_BYTES = JOURNAL_SEGMENT_RECORDS * JOURNAL_RECORD_BYTES };
enum { SEGMENT_NAME_MAX = 40 };

static void segment_name(uint64_t number, char out[SEGMENT_NAME_MAX])
{
    snprintf(out, SEGMENT_NAME_MAX, "mint/%08" PRIu64 ".journal", number);
}

static void encode(const struct journal_record *r, uint8_t out[HASHED_BYTES])
{
    memset(out, 0, HASHED_BYTES);
    out[0] = (uint8_t)r->kind;
    out[1] = r->form;
    put_u32be(out + 4, r->event_no);
    put_u32be(out + 8, r->place_no);
    put_u32be(out + 12, r->generation);
    memcpy(out + 16, r->claims_hash, 32);
    memcpy(out + 48, r->ticket_id, 16);
    put_u64be(out + 64, (uint64_t)r->time_ms);
    put_u64be(out + 72, r->sequence);
    put_u32be(out + 80, r->organiser_no);
    put_u32be(out + 84, r->capacity);
    put_u32be(out + 88, r->places);
    put_u32be(out + 92, r->kid);
}

enum err journal_record_decode(const uint8_t bytes[JOURNAL_RECORD_BYTES],
                               struct journal_record *ret_record)
{
    struct journal_record r = {.kind = (enum journal_kind)bytes[0], .form = bytes[1]};

    ENSURE(r.kind >= JOURNAL_MINT && r.kind <= JOURNAL_EVENT_LIMITS, ERR_CORRUPT, "bad_record",
           "The mint journal holds a record of an unknown kind.");
    r.event_no = get_u32be(bytes + 4);
    r.place_no = get_u32be(bytes + 8);
    r.generation = get_u32be(bytes + 12);
    memcpy(r.claims_hash, bytes + 16, 32);
    memcpy(r.ticket_id, bytes + 48, 16);
    r.time_ms = (int64_t)get_u64be(bytes + 64);
    r.sequence = get_u64be(bytes + 72);
    r.organiser_no = get_u32be(bytes + 80);
    r.capacity = get_u32be(bytes + 84);
    r.places = get_u32be(bytes + 88);
    r.kid = get_u32be(bytes + 92);
    *ret_record = r;
    return OK;
}

static void chain(const uint8_t before[JOURNAL_HASH_BYTES], const uint8_t body[HASHED_BYTES],
                  uint8_t ret_hash[JOURNAL_HASH_BYTES])
{
    struct span parts[] = {span_of(before, JOURNAL_HASH_BYTES), span_of(body, HASHED_BYTES)};
    sha256_parts(parts, COUNT_OF(parts), ret_hash);
}

/* Visit the records of one segment that chain to head; *ret_good is how many, head moves along. */
static enum err scan_segment(struct span bytes, journal_visit visit, void *context,
                             struct journal_head *head, size_t *ret_good)
{
    size_t good = 0, whole = bytes.len / JOURNAL_RECORD_BYTES;
    uint8_t hash[JOURNAL_HASH_BYTES];
    struct journal_record record;

    for (; good < whole; good++) {
        const uint8_t *at = bytes.data + good * JOURNAL_RECORD_BYTES;
        chain(head->hash, at, hash);
        if (memcmp(hash, at + HASHED_BYTES, sizeof hash) != 0)
            break;
        TRY(journal_record_decode(at, &record));
        ENSURE(record.sequence == head->sequence + 1, ERR_CORRUPT, "journal_broken",
               "The mint journal skips a number after %" PRIu64 ".", head->sequence);
        memcpy(head->hash, hash, sizeof hash);
        head->sequence++;
        if (visit)
            TRY(visit(context, &record));
    }
    *ret_good = good;
    return OK;
}

/* The shape found on disk. */
struct extent {
    uint64_t segment; /* last one, 0 when there is none */
    size_t good;      /* records in it that chain */
    bool torn;        /* something follows them */
};

static enum err count_segment(void *context, const char *name)
{
    uint64_t *segments = context;
    size_t n = strlen(name);

    *segments += n > 8 && strcmp(name + n - 8, ".journal") == 0;
    return OK;
}

/* How many there are, whatever their numbers: counted before reading, as a running signer may add one meanwhile. */
static enum err count_segments(const struct disk *disk, uint64_t *ret_segments)
{
    uint64_t segments = 0;
    enum err e = disk->list(disk->self, "mint", count_segment, &segments);

    if (e != ERR_NOT_FOUND)
        TRY(e);
    *ret_segments = segments;
    return OK;
}

static enum err scan_all(const struct disk *disk, journal_visit visit, void *context,
                         struct journal_head *head, struct extent *ret_extent)
{
    AUTO(buf_done) struct buf bytes = {0};
    struct extent found = {0};
    char name[SEGMENT_NAME_MAX];
    uint64_t there;

    TRY(count_segments(disk, &there));
    buf_init(&bytes, SEGMENT_BYTES);
    for (uint64_t number = 1;; number++) {
        segment_name(number, name);
        buf_reset(&bytes);
        enum err e = disk->read(disk->self, name, &bytes);
        if (e == ERR_NOT_FOUND)
            break;
        TRY(e);
        ENSURE(number == 1 || (found.good == JOURNAL_SEGMENT_RECORDS && !found.torn), ERR_CORRUPT,
               "journal_broken", "The mint journal is broken before segment %" PRIu64 ".", number);
        found.segment = number;
        TRY(scan_segment(buf_span(&bytes), visit, context, head, &found.good));
        size_t rest = bytes.len - found.good * JOURNAL_RECORD_BYTES;
        found.torn = rest > 0;
        ENSURE(rest <= (size_t)JOURNAL_BATCH_MAX * JOURNAL_RECORD_BYTES, ERR_CORRUPT,
               "journal_broken", "The mint journal is broken after record %" PRIu64 ".",
               head->sequence);
    }
    ENSURE(found.segment >= there, ERR_CORRUPT, "journal_broken",
           "Segment %" PRIu64 " of the mint journal is missing.", found.segment + 1);
    *ret_extent = found;
    return OK;
}

enum err journal_scan(const struct disk *disk, journal_visit visit, void *context,
                      struct journal_head *ret_head)
{
    struct journal_head head = {0};
    struct extent found;

    TRY(scan_all(disk, visit, context, &head, &found));
    if (ret_head)
        *ret_head = head;
    return OK;
}

static enum err open_segment(struct journal *j, uint64_t number)
{
    char name[SEGMENT_NAME_MAX];

    segment_name(number, name);
    TRY(j->disk->append_open(j->disk->self, name, 0600, &j->handle));
    j->segment = number;
    j->in_segment = 0;
    return OK;
}

enum err journal_open(const struct disk *disk, journal_visit visit, void *context,
                      struct journal *ret_journal)
{
    struct journal j = {.disk = disk, .handle = -1};
    struct extent found;

    TRY(scan_all(disk, visit, context, &j.head, &found));
    TRY(open_segment(&j, found.segment ? found.segment : 1));
    j.in_segment = found.good;
    if (found.torn) {
        enum err e =
            disk->truncate(disk->self, j.handle, (uint64_t)found.good * JOURNAL_RECORD_BYTES);
        if (e != OK)
            disk->close(disk->self, j.handle);
        TRY(e);
    }
    buf_init(&j.pending, (size_t)JOURNAL_BATCH_MAX * JOURNAL_RECORD_BYTES);
    *ret_journal = j;
    return OK;
}

void journal_close(struct journal *j)
{
    if (j->disk && j->handle >= 0)
        j->disk->close(j->disk->self, j->handle);
    j->handle = -1;
    buf_done(&j->pending);
}

enum err journal_append(struct journal *j, struct journal_record *record)
{
    ENSURE(j->pending.len + JOURNAL_RECORD_BYTES <= j->pending.max, ERR_BUSY, "journal_busy",
           "The signer has too much to write at once.");
    record->sequence = j->head.sequence + 1;
    uint8_t *at = buf_grow(&j->pending, JOURNAL_RECORD_BYTES);
    ENSURE(at, ERR_NOMEM, "no_memory", "No memory.");
    encode(record, at);
    chain(j->head.hash, at, j->head.hash);
    memcpy(at + HASHED_BYTES, j->head.hash, JOURNAL_HASH_BYTES);
    j->head.sequence++;
    return OK;
}

enum err journal_sync(struct journal *j)
{
    struct span left = buf_span(&j->pending);

    while (left.len > 0) {
        if (j->in_segment == JOURNAL_SEGMENT_RECORDS) {
            j->disk->close(j->disk->self, j->handle);
            j->handle = -1;
            TRY(open_segment(j, j->segment + 1));
        }
        struct span now =
            span_sub(left, 0, (JOURNAL_SEGMENT_RECORDS - j->in_segment) * JOURNAL_RECORD_BYTES);
        TRY(j->disk->append(j->disk->self, j->handle, now));
        TRY(j->disk->sync(j->disk->self, j->handle));
        j->in_segment += now.len / JOURNAL_RECORD_BYTES;
        left = span_sub(left, now.len, left.len);
    }
    buf_reset(&j->pending);
    return OK;
}

enum err journal_read(const struct journal *j, uint64_t from, size_t max_records, struct buf *out)
{
    AUTO(buf_done) struct buf bytes = {0};
    char name[SEGMENT_NAME_MAX];
    uint64_t synced = j->head.sequence - j->pending.len / JOURNAL_RECORD_BYTES;

    ENSURE(from >= 1, ERR_INVALID, "bad_range", "Journal records are numbered from 1.");
    buf_init(&bytes, SEGMENT_BYTES);
    if (from > synced)
        return OK;
    segment_name((from - 1) / JOURNAL_SEGMENT_RECORDS + 1, name);
    TRY(j->disk->read(j->disk->self, name, &bytes));
    size_t at = (size_t)((from - 1) % JOURNAL_SEGMENT_RECORDS) * JOURNAL_RECORD_BYTES;
    size_t count = max_records < synced - from + 1 ? max_records : (size_t)(synced - from + 1);
    buf_put_span(out, span_sub(buf_span(&bytes), at, count * JOURNAL_RECORD_BYTES));
    return buf_check(out);
}
