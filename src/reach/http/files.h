/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_HTTP_FILES_H
#define REACH_HTTP_FILES_H

/*
 * files - built web assets, read into memory at start and served from a table.
 *
 * A request names an entry of the table or nothing: no path ever reaches the file system. "x.br" and "x.gz" beside "x" are
 * its compressed forms. Names with a build hash ("app-4FQ7K2ZD.js") are immutable, the rest are revalidated by ETag.
 * Symbolic links and names that begin with a dot are not loaded.
 */
#include "reach/http/exchange.h"

enum { HTTP_FILES_MAX = 2048, HTTP_FILES_DEPTH_MAX = 8 };

struct http_files;

/* Everything below the directory, at most max_bytes. ERR_NOT_FOUND; ERR_LIMIT; ERR_IO. */
RESULT http_files_open(const char *dir, size_t max_bytes, struct http_files **ret_files);
/* After the server, whose responses point into it. */
void http_files_close(struct http_files *files);
/*
 * Reply with the file at the path ("/shop/app-4FQ7K2ZD.js"; a path ending in '/' means its index.html) to GET or HEAD.
 * False, and no reply, when there is none.
 */
bool http_files_reply(const struct http_files *files, struct http_exchange *x, struct span path);
/* Content of a file, for a handler that works on it; data is NULL when there is none. */
struct span http_files_get(const struct http_files *files, struct span path);
size_t http_files_count(const struct http_files *files);

#endif
