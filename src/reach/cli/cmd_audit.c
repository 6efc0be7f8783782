/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/cli/cmd_audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ground/encode/json.h"
#include "reach/cli/commands.h"
#include "reach/cli/install.h"
#include "reach/cli/options.h"
#include "sale/catalog/catalog.h"
#include "sale/ticket/code.h"
#include "store/sqlite/sqlite.h"
#include "trust/keyring/keyring.h"
#include "trust/ledger/audit.h"
#include "trust/signer/signer.h"
#include "trust/signer/wire.h"

enum {
    MINTS_FIRST = 4096,
    MINTS_MAX = 1 << 25,
    PLANS_KEPT = 16,
    LISTED_MAX = 10000, /* findings in the JSON object; the rest is counted */
    JSON_MAX = 16 << 20,
    PROGRESS_AFTER_MS = 1000,
    PROGRESS_EVERY_MS = 200,
    JOURNAL_LOOKS = 20, /* while the signer is writing, some end may be half there */
    JOURNAL_PAUSE_MS = 20,
};

static const char *const kinds[] = {
    [FINDING_LOG] = "log",
    [FINDING_ENTRY] = "entry",
    [FINDING_ENTRY_MISSING] = "entry_missing",
    [FINDING_ROW] = "row",
    [FINDING_ROW_UNKNOWN] = "row_unknown",
    [FINDING_ROW_MISSING] = "row_missing",
    [FINDING_RULE] = "rule",
};

/* What the signer's journal says it made, read before the snapshot: each ticket was committed before its code was asked for. */
struct mints {
    struct journal_record *records;
    size_t count, room;
};

struct known_plan {
    int64_t event_no;
    struct packed *plan;
};

struct auditor {
    bool json;
    uint64_t findings;
    struct buf list_bytes;
    struct json_writer list;
    struct mints mints;
    struct known_plan plans[PLANS_KEPT];
    size_t next_plan;
    struct store_tx *tx;
    struct ledger_audit_result result;
    int64_t began_ms, shown_ms; /* monotonic */
    bool shown;
};

/* --- Telling ---------------------------------------------------------------------------------------------------------------- */

/* Erase the progress line, so that what is printed stands alone. */
static void clear_progress(struct auditor *a)
{
    if (a->shown)
        (void)fputs("\r\033[K", stderr);
    a->shown = false;
}

static void progress(struct auditor *a, const char *what, uint64_t done)
{
    int64_t now = clock_mono_ms(clock_system());

    if (now - a->began_ms < PROGRESS_AFTER_MS || now - a->shown_ms < PROGRESS_EVERY_MS ||
        !isatty(STDERR_FILENO))
        return;
    a->shown_ms = now;
    a->shown = true;
    (void)fprintf(stderr, "\raudit: %llu %s\033[K", (unsigned long long)done, what);
}

/* A sentence may quote what was altered: nothing of it reaches a terminal but printable ASCII. */
static void printable(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
            *text = '?';
}

static void tell(struct auditor *a, const char *kind, const char *subject, const char *sentence)
{
    char words[240], name[64];

    (void)snprintf(words, sizeof words, "%s", sentence);
    (void)snprintf(name, sizeof name, "%s", subject);
    printable(words);
    printable(name);
    a->findings++;
    if (!a->json) {
        clear_progress(a);
        (void)printf("%s: %s\n", name, words);
        return;
    }
    if (a->findings > LISTED_MAX)
        return;
    json_w_object(&a->list);
    json_w_kv_cstr(&a->list, "kind", kind);
    json_w_kv_cstr(&a->list, "subject", name);
    json_w_kv_cstr(&a->list, "sentence", words);
    json_w_end(&a->list);
}

static void on_found(void *context, const struct ledger_finding *f)
{
    tell(context, kinds[f->kind], f->subject, f->sentence);
}

static enum err on_entry(void *context, const struct entry_view *entry)
{
    progress(context, "entries", (uint64_t)entry->entry_no + 1);
    return OK;
}

/* --- The mint journal ------------------------------------------------------------------------------------------------------- */

static enum err keep_mint(void *context, const struct journal_record *r)
{
    struct mints *m = context;

    if (r->kind != JOURNAL_MINT)
        return OK;
    if (m->count == m->room) {
        size_t room = m->room ? m->room * 2 : MINTS_FIRST;
        struct journal_record *grown =
            room <= MINTS_MAX ? realloc(m->records, room * sizeof *grown) : NULL;
        ENSURE(grown, ERR_NOMEM, "no_memory", "No memory for the mint journal.");
        m->records = grown;
        m->room = room;
    }
    m->records[m->count++] = *r;
    return OK;
}

/*
 * Bytes of the last segment after what chains. The scan leaves them alone, since a crash may tear the end; but whoever alters a
 * late record by hand makes the same.
 */
static uint64_t bytes_after(const char *dir, const struct journal_head *head)
{
    char path[INSTALL_PATH_MAX + 32];
    struct stat st;
    uint64_t kept = head->sequence % JOURNAL_SEGMENT_RECORDS * JOURNAL_RECORD_BYTES;

    (void)snprintf(path, sizeof path, "%.900s/mint/%08llu.journal", dir,
                   (unsigned long long)(head->sequence / JOURNAL_SEGMENT_RECORDS + 1));
    return stat(path, &st) == 0 && (uint64_t)st.st_size > kept ? (uint64_t)st.st_size - kept : 0;
}

/* The journal as it stands now; one that does not chain is a finding. What is being written is whole a moment later. */
static enum err read_mints(struct auditor *a, const struct install *i)
{
    const struct timespec pause = {0, JOURNAL_PAUSE_MS * 1000000L};
    struct journal_head head = {0};
    char dir[INSTALL_PATH_MAX], sentence[160];
    uint64_t after = 0;

    install_path(i, "signer", dir);
    for (int n = 0; n < JOURNAL_LOOKS; n++) {
        a->mints.count = 0;
        enum err e = signer_journal_scan(dir, keep_mint, &a->mints, &head);
        if (e == ERR_CORRUPT) {
            tell(a, "journal", "mint journal", err_last()->detail);
            return OK;
        }
        TRY(e);
        after = bytes_after(dir, &head);
        if (after == 0)
            return OK;
        (void)nanosleep(&pause, NULL);
    }
    (void)snprintf(
        sentence, sizeof sentence,
        "%llu bytes after record %llu do not continue it: torn by a crash (the next start "
        "drops them) or altered",
        (unsigned long long)after, (unsigned long long)head.sequence);
    tell(a, "journal", "mint journal", sentence);
    return OK;
}

/* NULL with OK when the database has no such event. */
static enum err plan_for(struct auditor *a, int64_t event_no, const struct packed **ret_plan)
{
    *ret_plan = NULL;
    for (size_t i = 0; i < PLANS_KEPT; i++)
        if (a->plans[i].plan && a->plans[i].event_no == event_no) {
            *ret_plan = a->plans[i].plan;
            return OK;
        }
    struct known_plan *slot = &a->plans[a->next_plan];
    packed_free(&slot->plan);
    slot->plan = NULL;
    enum err e = plan_of_event(a->tx, event_no, &slot->plan);
    if (e == ERR_NOT_FOUND || e == ERR_INVALID || e == ERR_CORRUPT)
        return OK;
    TRY(e);
    slot->event_no = event_no;
    a->next_plan = (a->next_plan + 1) % PLANS_KEPT;
    *ret_plan = slot->plan;
    return OK;
}

/* What is wrong with a mint whose ticket there is; NULL when nothing is. */
static enum err mint_fault(struct auditor *a, const struct journal_record *r,
                           const struct ticket_row *row, const char **ret_fault)
{
    struct ticket_claims claims;
    uint8_t hash[SHA256_BYTES];
    const struct packed *plan;

    *ret_fault = NULL;
    if (row->event_no != r->event_no || row->place_no != r->place_no ||
        row->generation != r->generation) {
        *ret_fault = "is for another event, place or generation than the ticket's row";
        return OK;
    }
    TRY(plan_for(a, row->event_no, &plan));
    if (!plan || ticket_claims_of(row, plan, &claims) != OK) {
        *ret_fault = "cannot be compared: the ticket's row does not fit the plan of its event";
        return OK;
    }
    TRY(wire_claims_hash(&claims, hash));
    if (claims.form != r->form || memcmp(hash, r->claims_hash, sizeof hash) != 0)
        *ret_fault = "made another ticket than the one its row tells of";
    return OK;
}

static enum err compare_mint(struct auditor *a, const struct journal_record *r)
{
    char name[ID_TEXT_MAX], sentence[200];
    const char *fault = "has no row in the database";
    struct ticket_id id;
    struct ticket_row row;

    memcpy(id.b, r->ticket_id, ID_BYTES);
    enum err e = store_ticket_by_id(a->tx, id, &row);
    if (e == OK)
        e = mint_fault(a, r, &row, &fault);
    else if (e == ERR_NOT_FOUND)
        e = OK;
    TRY(e);
    if (!fault)
        return OK;
    ticket_id_format(id, name);
    (void)snprintf(sentence, sizeof sentence,
                   "mint %llu of the signer (event %u, place %u, generation %u) %s",
                   (unsigned long long)r->sequence, r->event_no, r->place_no, r->generation, fault);
    tell(a, "mint", name, sentence);
    return OK;
}

static enum err compare_mints(struct auditor *a)
{
    for (size_t i = 0; i < a->mints.count; i++) {
        progress(a, "mints", i);
        TRY(compare_mint(a, &a->mints.records[i]));
    }
    return OK;
}

/* --- All of it ---------------------------------------------------------------------------------------------------------------- */

static enum err audit_snapshot(struct auditor *a, struct store *store, struct ledger *ledger,
                               const struct log_view *log, const struct vkey *key)
{
    const struct ledger_audit_config config = {
        .disk = &log->disk, .key = key, .found = on_found, .visit_entry = on_entry, .context = a};
    struct store_reader *reader;

    TRY(store_reader_open(store, &reader));
    enum err e = store_read_begin(reader, &a->tx);
    if (e == OK) {
        e = ledger_audit(a->tx, ledger, &config, &a->result);
        if (e == OK && !log->published && a->result.entries > 0)
            tell(a, "log", "checkpoint", "the log has published nothing of the database's entries");
        if (e == OK)
            e = compare_mints(a);
        store_read_end(a->tx);
    }
    store_reader_close(reader);
    return e;
}

static enum err open_ledger(const struct install *i, struct keyring **ret_keyring,
                            struct ledger **ret_ledger)
{
    AUTO(secret32_wipe) struct secret32 master = {0};

    TRY(install_site_master(i, &master));
    const struct keyring_config config = {.disk = &i->disk,
                                          .path = "keys/keyring",
                                          .master = master.b,
                                          .clock = clock_system(),
                                          .rng = rng_system()};
    TRY(keyring_open(&config, ret_keyring));
    return ledger_new(*ret_keyring, ret_ledger);
}

static enum err open_store(const struct install *i, struct store **ret_store)
{
    char path[INSTALL_PATH_MAX];

    install_path(i, "db/gatehouse.sqlite", path);
    ENSURE(access(path, R_OK) == 0, ERR_NOT_FOUND, "no_database",
           "%s is not there: this installation was never served.", path);
    const struct store_config config = {.driver = store_sqlite(),
                                        .url = path,
                                        .clock = clock_system(),
                                        .rng = rng_system(),
                                        .read_only = true};
    return store_open(&config, ret_store);
}

/* Journal, then log, then the database's snapshot: nothing in the first two is newer than the last. */
static enum err audit_install(struct auditor *a, const struct install *i, const char *vkey_path)
{
    AUTO(log_view_close) struct log_view log = {.published = false};
    struct keyring *keyring = NULL;
    struct ledger *ledger = NULL;
    struct store *store = NULL;
    char path[INSTALL_PATH_MAX];
    struct vkey key;

    install_path(i, "log-vkey", path);
    TRY(vkey_file_read(vkey_path ? vkey_path : path, &key));
    TRY(read_mints(a, i));
    install_path(i, "log", path);
    TRY(log_view_open(path, &log));
    enum err e = open_store(i, &store);
    if (e == OK)
        e = open_ledger(i, &keyring, &ledger);
    if (e == OK)
        e = audit_snapshot(a, store, ledger, &log, &key);
    store_close(store);
    ledger_free(ledger);
    keyring_close(keyring);
    return e;
}

static int print_result(struct auditor *a)
{
    AUTO(buf_done) struct buf out = {0};
    struct json_writer w;

    if (!a->json) {
        (void)printf("audit: %llu entries, %llu rows, %llu findings\n",
                     (unsigned long long)a->result.entries, (unsigned long long)a->result.rows,
                     (unsigned long long)a->findings);
        return a->findings ? EXIT_NO : EXIT_DONE;
    }
    buf_init(&out, JSON_MAX + 4096);
    json_w_end(&a->list);
    if (json_w_finish(&a->list) != OK)
        return options_failed("ledger audit");
    json_w_init(&w, &out);
    json_w_object(&w);
    json_w_kv_bool(&w, "ok", a->findings == 0);
    json_w_kv_i64(&w, "entries", (int64_t)a->result.entries);
    json_w_kv_i64(&w, "leaves", (int64_t)a->result.leaves);
    json_w_kv_i64(&w, "rows", (int64_t)a->result.rows);
    json_w_kv_i64(&w, "mints", (int64_t)a->mints.count);
    json_w_kv_i64(&w, "found", (int64_t)a->findings);
    json_w_key(&w, "findings");
    json_w_raw(&w, buf_span(&a->list_bytes));
    json_w_end(&w);
    if (json_w_finish(&w) != OK)
        return options_failed("ledger audit");
    (void)puts(buf_text(&out));
    return a->findings ? EXIT_NO : EXIT_DONE;
}

int audit_command(const char *dir, const char *vkey_path, bool json)
{
    struct auditor a = {.json = json, .began_ms = clock_mono_ms(clock_system())};
    struct install install;
    int status;

    if (crypto_init() != OK || install_open(dir, &install) != OK)
        return options_failed("ledger audit");
    buf_init(&a.list_bytes, JSON_MAX);
    json_w_init(&a.list, &a.list_bytes);
    json_w_array(&a.list);
    enum err e = audit_install(&a, &install, vkey_path);
    clear_progress(&a);
    status = e == OK ? print_result(&a) : options_failed("ledger audit");
    for (size_t i = 0; i < PLANS_KEPT; i++)
        packed_free(&a.plans[i].plan);
    free(a.mints.records);
    buf_done(&a.list_bytes);
    install_close(&install);
    return status;
}
