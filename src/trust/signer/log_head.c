/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/signer/log_head.h"

#include <inttypes.h>
#include <string.h>

#include "trust/signer/master.h"

#define FILE_NAME "log_head"
#define FILE_MARK "GHLH\x01"

enum { MARK_BYTES = 5, BODY_BYTES = MARK_BYTES + 8 + 32, FILE_BYTES = BODY_BYTES + SHA256_BYTES };

static void start(const struct disk *disk, const struct secret32 *master, struct log_head *head)
{
    *head = (struct log_head){.disk = disk};
    master_derive(master, "log head", &head->key);
    merkle_empty_root(&head->root);
}

static enum err save(const struct log_head *head, uint64_t size, const struct merkle_hash *root)
{
    uint8_t file[FILE_BYTES];

    memcpy(file, FILE_MARK, MARK_BYTES);
    put_u64be(file + MARK_BYTES, size);
    memcpy(file + MARK_BYTES + 8, root->b, sizeof root->b);
    hmac_sha256(SPAN_ARRAY(head->key.b), span_of(file, BODY_BYTES), file + BODY_BYTES);
    return head->disk->replace(head->disk->self, FILE_NAME, SPAN_ARRAY(file), 0600);
}

enum err log_head_create(const struct disk *disk, const struct secret32 *master,
                         struct log_head *ret_head)
{
    start(disk, master, ret_head);
    return save(ret_head, 0, &ret_head->root);
}

enum err log_head_open(const struct disk *disk, const struct secret32 *master,
                       struct log_head *ret_head)
{
    AUTO(buf_done) struct buf file = {0};
    uint8_t mac[SHA256_BYTES];

    start(disk, master, ret_head);
    buf_init(&file, FILE_BYTES);
    TRY(disk->read(disk->self, FILE_NAME, &file));
    ENSURE(file.len == FILE_BYTES && memcmp(file.data, FILE_MARK, MARK_BYTES) == 0, ERR_CORRUPT,
           "bad_log_head", "The record of the last signed log head is not readable.");
    hmac_sha256(SPAN_ARRAY(ret_head->key.b), span_of(file.data, BODY_BYTES), mac);
    ENSURE(crypto_eq(mac, file.data + BODY_BYTES, sizeof mac), ERR_CORRUPT, "bad_log_head",
           "The record of the last signed log head was altered, or the master key is another.");
    ret_head->size = get_u64be(file.data + MARK_BYTES);
    memcpy(ret_head->root.b, file.data + MARK_BYTES + 8, sizeof ret_head->root.b);
    return OK;
}

enum err log_head_advance(struct log_head *head, uint64_t old_size, uint64_t new_size,
                          const struct merkle_hash *new_root, const struct merkle_hash *proof,
                          size_t proof_count)
{
    if (new_size == head->size) {
        ENSURE(merkle_hash_eq(new_root, &head->root) || head->size == 0, ERR_CONFLICT, "log_fork",
               "Another root was signed for the log of size %" PRIu64 ".", head->size);
        ENSURE(head->size > 0, ERR_INVALID, "bad_range", "There is nothing to sign yet.");
        return OK;
    }
    ENSURE(new_size > head->size, ERR_CONFLICT, "log_rollback",
           "The log was signed at size %" PRIu64 " already; it does not shrink.", head->size);
    ENSURE(old_size == head->size, ERR_CONFLICT, "log_stale",
           "The log was last signed at size %" PRIu64 ".", head->size);
    if (head->size > 0)
        ENSURE(merkle_consistency_verify(head->size, new_size, &head->root, new_root, proof,
                                         proof_count) == OK,
               ERR_CONFLICT, "log_fork", "The new log does not begin with the one signed before.");
    TRY(save(head, new_size, new_root));
    head->size = new_size;
    head->root = *new_root;
    return OK;
}
