/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_MIGRATIONS_H
#define STORE_STORE_MIGRATIONS_H

/*
 * migrations - the numbered scripts of migrations/, inside the program. Script n brings a database from version n - 1 to n;
 * a published script is never edited. Tokens that a driver spells its own way: INT, TEXT, BLOB, SERIAL (an integer primary
 * key that fills itself and never gives a number twice), TABLE (ends a table), CLUSTERED (ends a table stored in primary key
 * order), each between two @.
 */
#include <stddef.h>

struct store_migration {
    const char *name; /* "001.sql" */
    const char *data; /* terminated */
    size_t len;
};
extern const struct store_migration store_migrations[];
extern const size_t store_migrations_count;

#endif
