/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TRUST_LEDGER_HTTP_FILES_H
#define TRUST_LEDGER_HTTP_FILES_H

/* http_files - the log's read path for the HTTP server: which file answers a path, and how long it may be kept. */
#include "ground/base/base.h"

/*
 * path: what follows the log's prefix, without a leading slash: "checkpoint", "tile/...". Appends the content. ERR_NOT_FOUND
 * "no_file" for everything the published checkpoint does not imply, and for what is no path of a log at all.
 * ret_content_type is static text. ret_immutable: may be cached for ever; else for seconds.
 */
RESULT ledger_http_get(const struct disk *disk, struct span path, struct buf *out,
                       const char **ret_content_type, bool *ret_immutable);

#endif
