/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_SIGNER_MASTER_H
#define TRUST_SIGNER_MASTER_H

/*
 * master - the 32 random bytes under which the signer's files are sealed, and the keys derived from them.
 *
 * They come from $CREDENTIALS_DIRECTORY/gatehouse-master (systemd) when that is set, else from a file of our own, mode 0600,
 * which is made at first run. A file that others may read is refused: such a key must be considered known.
 */
#include "ground/base/base.h"
#include "ground/crypto/crypto.h"

/*
 * path: used when no credentials directory holds the key. create: make the file when there is none.
 * ERR_NOT_FOUND "no_master_key", ERR_DENIED "master_key_exposed", ERR_CORRUPT "bad_master_key" when it is not 32 bytes.
 */
RESULT master_read(const char *path, bool create, struct secret32 *ret_master);
/* One key per purpose; the label is part of the program. */
void master_derive(const struct secret32 *master, const char *label, struct secret32 *ret_key);

#endif
