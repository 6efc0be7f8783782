/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page_cache - a thin layer over SQLite's own page cache, for one call of it: cutting off the pages behind the end of the file.
 *
 * SQLite does that at the end of every transaction, and looks at every page in memory if one was ever known by a number behind the
 * end. One often was: when it puts the pages of a split tree in order, it gives one the number of the page that is never used (of the
 * pending byte) for a moment. With 16,000 pages in memory that walk was a tenth of the writer's time. So the layer remembers the
 * largest number that a page really has, and leaves out the cut where nothing is behind it. What is kept, when pages are thrown away
 * and all memory are SQLite's own.
 */
#include <stdlib.h>

#include "store/sqlite/conn.h"

enum {
    NEVER_USED_PAGE = 0x40000000 / 4096 + 1
}; /* of the pending byte, in pages of the size that is used here */

static sqlite3_pcache_methods2 own; /* SQLite's; set once, before any cache */

struct cache {
    sqlite3_pcache *real;
    unsigned newest;  /* no page has a larger number, but for the next */
    bool has_unusual; /* one has the number of the page that is never used */
};

static struct cache *of(sqlite3_pcache *p)
{
    return (struct cache *)(void *)p;
}

static int cache_init(void *unused)
{
    (void)unused;
    return own.xInit(own.pArg);
}

static void cache_shutdown(void *unused)
{
    (void)unused;
    if (own.xShutdown)
        own.xShutdown(own.pArg);
}

static sqlite3_pcache *cache_create(int page_bytes, int extra_bytes, int purgeable)
{
    struct cache *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->real = own.xCreate(page_bytes, extra_bytes, purgeable);
    if (!c->real) {
        free(c);
        return NULL;
    }
    return (sqlite3_pcache *)(void *)c;
}

static void cache_size(sqlite3_pcache *p, int pages)
{
    own.xCachesize(of(p)->real, pages);
}

static int cache_count(sqlite3_pcache *p)
{
    return own.xPagecount(of(p)->real);
}

static void note_number(struct cache *c, unsigned number)
{
    if (number == NEVER_USED_PAGE)
        c->has_unusual = true;
    else if (number > c->newest)
        c->newest = number;
}

static sqlite3_pcache_page *cache_fetch(sqlite3_pcache *p, unsigned number, int create)
{
    struct cache *c = of(p);

    if (create)
        note_number(c, number);
    return own.xFetch(c->real, number, create);
}

static void cache_unpin(sqlite3_pcache *p, sqlite3_pcache_page *page, int discard)
{
    own.xUnpin(of(p)->real, page, discard);
}

static void cache_rekey(sqlite3_pcache *p, sqlite3_pcache_page *page, unsigned old_number,
                        unsigned new_number)
{
    struct cache *c = of(p);

    if (old_number == NEVER_USED_PAGE)
        c->has_unusual = false;
    note_number(c, new_number);
    own.xRekey(c->real, page, old_number, new_number);
}

static void cache_truncate(sqlite3_pcache *p, unsigned from)
{
    struct cache *c = of(p);

    if (from > c->newest && !c->has_unusual)
        return;
    own.xTruncate(c->real, from);
    c->newest = from > 0 ? from - 1 : 0;
    c->has_unusual = c->has_unusual && from > NEVER_USED_PAGE;
}

static void cache_destroy(sqlite3_pcache *p)
{
    own.xDestroy(of(p)->real);
    free(of(p));
}

static void cache_shrink(sqlite3_pcache *p)
{
    own.xShrink(of(p)->real);
}

bool sqlite_page_cache_install(void)
{
    static const sqlite3_pcache_methods2 layer = {
        .iVersion = 1,
        .xInit = cache_init,
        .xShutdown = cache_shutdown,
        .xCreate = cache_create,
        .xCachesize = cache_size,
        .xPagecount = cache_count,
        .xFetch = cache_fetch,
        .xUnpin = cache_unpin,
        .xRekey = cache_rekey,
        .xTruncate = cache_truncate,
        .xDestroy = cache_destroy,
        .xShrink = cache_shrink,
    };

    return sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &own) == SQLITE_OK && own.xFetch &&
           sqlite3_config(SQLITE_CONFIG_PCACHE2, &layer) == SQLITE_OK;
}
