/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_CLI_INSTALL_H
#define REACH_CLI_INSTALL_H

/*
 * install - one data directory: what lies where, made at first run, found again later.
 *
 *     gatehouse.conf                 settings (settings.h)
 *     db/gatehouse.sqlite            the store; db/backup/ copies made before migrations
 *     keys/site-master               32 bytes, 0600: opens the keyring   } or $CREDENTIALS_DIRECTORY/gatehouse-site-master,
 *     keys/signer-master             32 bytes, 0600: opens the signer    }    .../gatehouse-master (systemd)
 *     keys/keyring                   epoch keys and the lookup key, sealed
 *     signer/                        the signer's own: keystore, mint journal, log head, approvals
 *     log/                           the public ledger: checkpoint, tiles, bundles
 *     log-state/                     what was reserved for signing; never part of a backup
 *     tls/                           ca.pem, ca-key.pem, server.pem, server-key.pem of the local authority
 *     mail/                          mails of the demonstration
 *     provider-key, webhook-secret   secrets shared with the payment provider
 *     lock                           held by the one process that may write
 * Everything is readable by its owner alone.
 */
#include "ground/base/base.h"
#include "ground/crypto/crypto.h"
#include "reach/cli/settings.h"

enum { INSTALL_PATH_MAX = 1024 };

struct install {
    char dir[INSTALL_PATH_MAX]; /* absolute */
    struct disk disk;           /* on it */
    struct settings settings;
};

struct install_wish {
    const char *dir;
    const char *origin;     /* or NULL: made from the listeners */
    const char *listen;     /* or NULL: the default */
    const char *tls_listen; /* or NULL: the default */
    const char *log_origin; /* or NULL: made from the origin */
};

/* Make the directory and everything in it but the database, which serve makes. ERR_CONFLICT "exists" when it holds one already. */
RESULT install_create(const struct install_wish *wish, const struct clock *clock);
/* ERR_NOT_FOUND "no_install" when there is none; the errors of settings_load. install_close afterwards. */
RESULT install_open(const char *dir, struct install *ret_install);
void install_close(struct install *i);
/* dir/name; out holds INSTALL_PATH_MAX. */
void install_path(const struct install *i, const char *name, char *out);
/* The master key that opens the keyring. ERR_DENIED "open_secret" when others may read the file. */
RESULT install_site_master(const struct install *i, struct secret32 *ret_key);
/* A secret of a settings file or of the directory: its text without the line end. Not OK when others may read it. */
RESULT install_secret(const struct install *i, const char *path, struct buf *out);

#endif
