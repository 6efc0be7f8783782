/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_FLOORS_H
#define BENCH_FLOORS_H

/* floors - single operations in a loop, a second: what bounds the parts of the product that do little else. */
#include "bench.h"

/* Argon2id at the price of a fan's password, on so many threads. */
double floor_passwords(unsigned threads, double seconds);
/* As many threads as this machine has processors. */
unsigned floor_processors(void);
/* Ed25519, of 160 bytes. */
double floor_signs(double seconds);
/* Leaves of the ledger's size into a Merkle tree in memory. */
double floor_leaves(double seconds);

/* Write so many bytes and sync them, over and over in a file of `pieces` times as many, which is removed. How often. */
int64_t floor_syncs(const char *path, size_t bytes, unsigned pieces, int64_t until_us);

/* Times of at least 2 ms in which no processor ran anything, all being asked to, beside a loop that writes and syncs in dir. */
struct floor_halts {
    double per_s, share, mean_ms, longest_ms;
};
void floor_halts(const char *dir, double seconds, struct floor_halts *ret_halts);

/*
 * The rows of floor_sales in PostgreSQL: a cluster of its own in a folder of its own below dir, on a socket there, asked by
 * pgbench with so many clients. False where PostgreSQL is not installed or will not run here, with a word on standard error.
 */
bool floor_postgres_sales(const char *dir, unsigned per_order, unsigned clients, unsigned seconds,
                          double *ret_sales_per_s);

#endif
