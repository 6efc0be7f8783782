/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "floors.h"
#include "ground/base/thread.h"
#include "ground/crypto/crypto.h"
#include "trust/ledger/entry.h"
#include "trust/ledger/merkle.h"

enum { THREADS_MAX = 64, LEAVES_AT_ONCE = 4096, MESSAGE_BYTES = 160 };

static bool is_over(int64_t began, double seconds)
{
    return (double)(now_us() - began) >= seconds * 1e6;
}

static double per_s(int64_t count, int64_t began)
{
    return (double)count * 1e6 / (double)(now_us() - began);
}

/* --- passwords --------------------------------------------------------------------------------------------------------------- */

static const char word[] = "correct horse battery staple 9";

struct guesser {
    pthread_t thread;
    const char *hash;
    int64_t began_us, count;
    double seconds;
};

static void *guess(void *context)
{
    struct guesser *g = context;
    bool rehash;

    while (!is_over(g->began_us, g->seconds)) {
        must(password_verify(span_text(word), g->hash, CRYPTO_PASSWORD_FAN, &rehash), "password");
        g->count++;
    }
    password_memory_drop();
    return NULL;
}

unsigned floor_processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

double floor_passwords(unsigned threads, double seconds)
{
    struct guesser guessers[THREADS_MAX];
    char hash[PASSWORD_HASH_MAX];
    int64_t count = 0;

    must(password_hash(span_text(word), CRYPTO_PASSWORD_FAN, hash), "password");
    int64_t began = now_us();
    for (unsigned i = 0; i < threads; i++) {
        guessers[i] = (struct guesser){.hash = hash, .began_us = began, .seconds = seconds};
        must(thread_start(&guessers[i].thread, "password", guess, &guessers[i]), "thread");
    }
    for (unsigned i = 0; i < threads; i++) {
        (void)pthread_join(guessers[i].thread, NULL);
        count += guessers[i].count;
    }
    return per_s(count, began);
}

/* --- signatures and leaves ----------------------------------------------------------------------------------------------------- */

double floor_signs(double seconds)
{
    uint8_t message[MESSAGE_BYTES] = {7}, signature[ED25519_SIGNATURE_BYTES];
    AUTO(ed25519_key_wipe) struct ed25519_key key;
    int64_t count = 0, began = now_us();

    ed25519_key_random(&key);
    for (; !is_over(began, seconds); count++)
        ed25519_sign(&key, SPAN_ARRAY(message), signature);
    return per_s(count, began);
}

double floor_leaves(double seconds)
{
    uint8_t leaf[ENTRY_LEAF_BYTES] = {1, 1};
    struct merkle_state tree = {0};
    struct merkle_hash hash;
    int64_t began = now_us();

    while (!is_over(began, seconds)) {
        for (int i = 0; i < LEAVES_AT_ONCE; i++) {
            memcpy(leaf + 2, &tree.size, sizeof tree.size);
            merkle_leaf(SPAN_ARRAY(leaf), &hash);
            merkle_append(&tree, &hash);
        }
    }
    return per_s((int64_t)tree.size, began);
}
