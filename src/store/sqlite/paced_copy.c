/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paced_copy - lets the copying of the log into the database go to the disk in portions.
 *
 * SQLite writes all pages of a checkpoint and syncs them at the end: thousands of single pages are then on their way to the disk at once,
 * and the writer's sync of its log waits behind them, 10 to 20 ms instead of 1. So the file of the copying connection syncs itself
 * whenever a portion was written, and the log waits behind one portion at most. On a slow disk that takes long: whoever waits for the
 * copy's end hurries it, and the rest is synced once, at the end.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "store/sqlite/conn.h"

enum { PORTION_PAGES = 64 };

/* The methods of one file: its layer's own but for xWrite. */
struct sqlite_pace {
    sqlite3_io_methods methods; /* first: what the file points to */
    const sqlite3_io_methods *layer;
    int unsynced; /* pages */
    atomic_bool hurried;
};

static int paced_write(sqlite3_file *f, const void *data, int len, sqlite3_int64 at)
{
    struct sqlite_pace *p = (struct sqlite_pace *)(void *)(uintptr_t)f->pMethods;
    int code = p->layer->xWrite(f, data, len, at);

    if (code != SQLITE_OK || ++p->unsynced < PORTION_PAGES || p->hurried)
        return code;
    p->unsynced = 0;
    return p->layer->xSync(f, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
}

enum err sqlite_pace_copies(struct store_conn *c)
{
    sqlite3_file *f = NULL;
    int code = sqlite3_file_control(c->db, "main", SQLITE_FCNTL_FILE_POINTER, &f);

    if (code != SQLITE_OK)
        return sqlite_fail(c, code, "set-up");
    struct sqlite_pace *p = calloc(1, sizeof *p);
    ENSURE(p, ERR_NOMEM, "no_memory", "No memory for a database connection.");
    p->layer = f->pMethods;
    p->methods = *f->pMethods;
    p->methods.xWrite = paced_write;
    f->pMethods = &p->methods;
    c->pace = p;
    return OK;
}

void sqlite_hurry_copies(struct store_conn *c, bool on)
{
    if (c->pace)
        c->pace->hurried = on;
}
