/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_buffer - a layer of SQLite's files (a VFS) that gathers what the writer puts into its write-ahead log and hands it to the
 * kernel in one piece.
 *
 * SQLite writes each page of a commit by two calls, 24 bytes and 4096. A batch of sales is a hundred pages: two hundred system
 * calls, which cost more than the copying. Nobody looks at these bytes before they are synced: readers and checkpoints go by the
 * shared index, which SQLite brings up to date only after its sync. So whatever asks for the file (read, size, truncate, sync,
 * control, close) is answered after the gathered bytes are written; a failed write is told there. Only the writer's connection
 * uses the layer, and only its log: every other file is the one that the system's layer opened.
 *
 * It also lets a commit leave its sync for another thread (sqlite_log_owe, sqlite_log_sync), so that the writer goes on meanwhile.
 * The sync that follows a new header is never left: frames of the log's new life must not reach the disk before its header. Nor is
 * any outside a commit, a checkpoint's above all: pages come into the file only when the log they came from is on the disk. And other
 * connections sync the log by themselves before they copy it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "store/sqlite/conn.h"

enum {
    GATHERED_MAX = 1 << 20,
    PIECE_MAX = 128 * 1000, /* SQLite's layer for Unix takes less than 128 KiB at once */
};

struct gathering {
    sqlite3_file base; /* first: SQLite's view */
    uint8_t *bytes;
    int len;
    sqlite3_int64 at; /* where the first of them belongs */
    sqlite3_file *real;
    bool may_owe, has_header; /* has_header: one was written since the last sync */
    atomic_bool owes;         /* bytes were written that a commit left to be synced */
    int owed_flags;
    pthread_mutex_t syncing; /* the layer below takes one sync at a time */
};

static struct gathering *of(sqlite3_file *f)
{
    return (struct gathering *)(void *)f;
}

static int write_through(struct gathering *g, const uint8_t *data, int len, sqlite3_int64 at)
{
    int code = SQLITE_OK;

    for (int done = 0, piece; done < len && code == SQLITE_OK; done += piece) {
        piece = len - done < PIECE_MAX ? len - done : PIECE_MAX;
        code = g->real->pMethods->xWrite(g->real, data + done, piece, at + done);
    }
    return code;
}

static int flush(struct gathering *g)
{
    int len = g->len;

    g->len =
        0; /* also when it fails: SQLite gives the transaction up, and its frames are written anew */
    return write_through(g, g->bytes, len, g->at);
}

static int wal_write(sqlite3_file *f, const void *data, int len, sqlite3_int64 at)
{
    struct gathering *g = of(f);

    g->has_header = g->has_header || at == 0;
    if (g->len && (at != g->at + g->len || len > GATHERED_MAX - g->len)) {
        int code = flush(g);
        if (code != SQLITE_OK)
            return code;
    }
    if (len > GATHERED_MAX)
        return write_through(g, data, len, at);
    if (!g->len)
        g->at = at;
    memcpy(g->bytes + g->len, data, (size_t)len);
    g->len += len;
    return SQLITE_OK;
}

static int wal_read(sqlite3_file *f, void *out, int len, sqlite3_int64 at)
{
    int code = flush(of(f));
    return code == SQLITE_OK ? of(f)->real->pMethods->xRead(of(f)->real, out, len, at) : code;
}

static int wal_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int code = flush(of(f));
    return code == SQLITE_OK ? of(f)->real->pMethods->xTruncate(of(f)->real, size) : code;
}

static int sync_real(struct gathering *g, int flags)
{
    (void)pthread_mutex_lock(&g->syncing);
    int code = g->real->pMethods->xSync(g->real, flags);
    (void)pthread_mutex_unlock(&g->syncing);
    return code;
}

static int wal_sync(sqlite3_file *f, int flags)
{
    struct gathering *g = of(f);
    int code = flush(g);

    if (code == SQLITE_OK && g->may_owe && !g->has_header) {
        g->owed_flags = flags;
        atomic_store(&g->owes, true);
        return SQLITE_OK;
    }
    g->has_header = false;
    return code == SQLITE_OK ? sync_real(g, flags) : code;
}

static int wal_size(sqlite3_file *f, sqlite3_int64 *ret_size)
{
    int code = flush(of(f));
    return code == SQLITE_OK ? of(f)->real->pMethods->xFileSize(of(f)->real, ret_size) : code;
}

static int wal_close(sqlite3_file *f)
{
    struct gathering *g = of(f);
    int written = flush(g), closed = g->real->pMethods->xClose(g->real);

    free(g->bytes);
    g->bytes = NULL;
    (void)pthread_mutex_destroy(&g->syncing);
    return written != SQLITE_OK ? written : closed;
}

static int wal_lock(sqlite3_file *f, int kind)
{
    return of(f)->real->pMethods->xLock(of(f)->real, kind);
}

static int wal_unlock(sqlite3_file *f, int kind)
{
    return of(f)->real->pMethods->xUnlock(of(f)->real, kind);
}

static int wal_reserved(sqlite3_file *f, int *ret_held)
{
    return of(f)->real->pMethods->xCheckReservedLock(of(f)->real, ret_held);
}

static int wal_control(sqlite3_file *f, int what, void *argument)
{
    int code = flush(of(f));
    return code == SQLITE_OK ? of(f)->real->pMethods->xFileControl(of(f)->real, what, argument)
                             : code;
}

static int wal_sector(sqlite3_file *f)
{
    return of(f)->real->pMethods->xSectorSize(of(f)->real);
}

static int wal_traits(sqlite3_file *f)
{
    return of(f)->real->pMethods->xDeviceCharacteristics(of(f)->real);
}

static const sqlite3_io_methods wal_methods = {
    .iVersion = 1,
    .xClose = wal_close,
    .xRead = wal_read,
    .xWrite = wal_write,
    .xTruncate = wal_truncate,
    .xSync = wal_sync,
    .xFileSize = wal_size,
    .xLock = wal_lock,
    .xUnlock = wal_unlock,
    .xCheckReservedLock = wal_reserved,
    .xFileControl = wal_control,
    .xSectorSize = wal_sector,
    .xDeviceCharacteristics = wal_traits,
};

static sqlite3_vfs *system_layer(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

static int layer_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags,
                      int *ret_flags)
{
    struct gathering *g = of(f);

    if (!(flags & SQLITE_OPEN_WAL))
        return system_layer(vfs)->xOpen(system_layer(vfs), name, f, flags, ret_flags);
    memset(g, 0, sizeof *g);
    g->real = (sqlite3_file *)(void *)(g + 1);
    g->bytes = malloc(GATHERED_MAX);
    if (!g->bytes)
        return SQLITE_NOMEM;
    int code = system_layer(vfs)->xOpen(system_layer(vfs), name, g->real, flags, ret_flags);
    if (code == SQLITE_OK) {
        (void)pthread_mutex_init(&g->syncing, NULL);
        g->base.pMethods = &wal_methods;
        return SQLITE_OK;
    }
    /* SQLite closes a file that has methods; the one below is closed here, as it would have been by itself. */
    if (g->real->pMethods)
        (void)g->real->pMethods->xClose(g->real);
    free(g->bytes);
    g->bytes = NULL;
    return code;
}

/* The log of a connection: there once it was read or written in a transaction. */
static struct gathering *log_of(struct store_conn *c)
{
    sqlite3_file *f = c->log;

    if (!f && sqlite3_file_control(c->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &f) == SQLITE_OK &&
        f && f->pMethods == &wal_methods)
        c->log = f;
    return c->log ? of(c->log) : NULL;
}

void sqlite_log_owe(struct store_conn *c, bool may)
{
    struct gathering *g = log_of(c);

    if (g)
        g->may_owe = may;
}

int sqlite_log_sync(struct store_conn *c)
{
    struct gathering *g = c->log ? of(c->log) : NULL;

    if (!g || !atomic_exchange(&g->owes, false))
        return SQLITE_OK;
    return sync_real(g, g->owed_flags);
}

const char *sqlite_log_layer(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static const char name[] = "gatehouse-log";
    static sqlite3_vfs vfs;
    int code = SQLITE_OK;

    pthread_mutex_lock(&lock);
    sqlite3_vfs *system = sqlite3_vfs_find(NULL);
    if (system && vfs.pAppData != system) {
        (void)sqlite3_vfs_unregister(&vfs); /* what is default now may be another one, in tests */
        vfs = *system;
        vfs.zName = name;
        vfs.pNext = NULL;
        vfs.pAppData = system;
        vfs.szOsFile = (int)sizeof(struct gathering) + system->szOsFile;
        vfs.xOpen = layer_open;
        code = sqlite3_vfs_register(&vfs, 0);
    }
    pthread_mutex_unlock(&lock);
    return system && code == SQLITE_OK ? name : NULL;
}
