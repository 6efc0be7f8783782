/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_SQLITE_SQLITE_H
#define STORE_SQLITE_SQLITE_H

/*
 * sqlite - the driver for one SQLite file; the only folder that includes sqlite3.h.
 *
 * config.url is the path of the file. Beside it lie <path>-wal, <path>-shm and <path>.lock; all of mode 0600.
 *
 * Invariants:
 *   Q1  a commit that returned OK is on disk: WAL, synchronous=FULL; a failed fsync ends the process;
 *   Q2  one process writes: it holds flock() on <path>.lock;
 *   Q3  nothing runs outside of a transaction: when SQLite rolled one back by itself (disk full, I/O error, no memory), each
 *       further statement is refused until rollback.
 */
#include "store/store/driver.h"

const struct store_driver *store_sqlite(void);

#endif
