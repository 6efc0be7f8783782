/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/ledger/http_files.h"

#include "trust/ledger/note.h"
#include "trust/ledger/tile.h"

#define NO_FILE() FAIL(ERR_NOT_FOUND, "no_file", "The log has no such file.")

/* Size of the published checkpoint. Its signature was checked when it was written. */
static enum err published_size(const struct disk *disk, struct buf *b, uint64_t *ret_size)
{
    struct note note;
    struct checkpoint c;

    TRY(disk->read(disk->self, "checkpoint", b));
    TRY(note_parse(buf_span(b), &note));
    TRY(checkpoint_parse(note.text, &c));
    *ret_size = c.size;
    return OK;
}

enum err ledger_http_get(const struct disk *disk, struct span path, struct buf *out,
                         const char **ret_content_type, bool *ret_immutable)
{
    AUTO(buf_done) struct buf checkpoint;
    struct tile_path p;
    char name[TILE_PATH_MAX];
    uint64_t size;

    buf_init(&checkpoint, NOTE_BYTES_MAX);
    if (span_eq_text(path, "checkpoint")) {
        TRY(disk->read(disk->self, "checkpoint", out));
        *ret_content_type = "text/plain; charset=utf-8";
        *ret_immutable = false;
        return OK;
    }
    if (tile_path_parse(path, &p) != OK)
        NO_FILE();
    TRY(published_size(disk, &checkpoint, &size));
    if (tile_width(size, p.level, p.index) < p.width)
        NO_FILE();
    tile_path_format(&p, name);
    TRY(disk->read(disk->self, name, out));
    *ret_content_type = "application/octet-stream";
    *ret_immutable = true;
    return OK;
}
