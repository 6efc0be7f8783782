/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/signer/approval.h"

#include "trust/signer/master.h"

#define FILE_NAME "approvals"

enum { BODY_BYTES = 32, RECORD_BYTES = BODY_BYTES + SHA256_BYTES };

static enum err read_all(const struct disk *disk, struct buf *out)
{
    enum err e = disk->read(disk->self, FILE_NAME, out);

    if (e == ERR_NOT_FOUND)
        return OK;
    TRY(e);
    ENSURE(out->len % RECORD_BYTES == 0, ERR_CORRUPT, "bad_approvals",
           "The approvals file has the wrong size.");
    return OK;
}

enum err approval_add(const struct disk *disk, const struct clock *clock,
                      const struct secret32 *master, const struct approval *approval)
{
    AUTO(secret32_wipe) struct secret32 key;
    AUTO(buf_done) struct buf file = {0};
    uint8_t mac[SHA256_BYTES];

    master_derive(master, "approvals", &key);
    buf_init(&file, (size_t)APPROVALS_MAX * RECORD_BYTES);
    TRY(read_all(disk, &file));
    size_t at = file.len;
    buf_put_u32be(&file, approval->event_no);
    buf_put_u32be(&file, approval->places);
    buf_put_u32be(&file, approval->capacity);
    buf_put_u32be(&file, 0);
    buf_put_u64be(&file, (uint64_t)clock_now_ms(clock));
    buf_put_u64be(&file, 0);
    ENSURE(buf_check(&file) == OK, ERR_LIMIT, "too_many_approvals", "The approvals file is full.");
    hmac_sha256(SPAN_ARRAY(key.b), span_of(file.data + at, BODY_BYTES), mac);
    buf_put(&file, mac, sizeof mac);
    ENSURE(buf_check(&file) == OK, ERR_LIMIT, "too_many_approvals", "The approvals file is full.");
    return disk->replace(disk->self, FILE_NAME, buf_span(&file), 0600);
}

enum err approval_covers(const struct disk *disk, const struct secret32 *master,
                         const struct approval *wanted, bool *ret_covers)
{
    AUTO(secret32_wipe) struct secret32 key;
    AUTO(buf_done) struct buf file = {0};
    uint8_t mac[SHA256_BYTES];
    bool covers = false;

    master_derive(master, "approvals", &key);
    buf_init(&file, (size_t)APPROVALS_MAX * RECORD_BYTES);
    TRY(read_all(disk, &file));
    for (size_t at = 0; at < file.len; at += RECORD_BYTES) {
        const uint8_t *r = file.data + at;
        hmac_sha256(SPAN_ARRAY(key.b), span_of(r, BODY_BYTES), mac);
        ENSURE(crypto_eq(mac, r + BODY_BYTES, sizeof mac), ERR_CORRUPT, "bad_approvals",
               "The approvals file holds a record that the owner's key did not make.");
        covers |= get_u32be(r) == wanted->event_no && get_u32be(r + 4) >= wanted->places &&
                  get_u32be(r + 8) >= wanted->capacity;
    }
    *ret_covers = covers;
    return OK;
}
