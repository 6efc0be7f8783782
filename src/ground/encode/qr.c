/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/encode/qr.h"

#include <errno.h>
#include <png.h>
#include <qrencode.h>
#include <string.h>

#include "ground/base/utf8.h"

static void free_input(QRinput **input)
{
    if (*input)
        QRinput_free(*input);
}

static bool is_alphanumeric(struct span s)
{
    static const char others[] = " $%*+-./:";
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') && (c == 0 || !strchr(others, c)))
            return false;
    }
    return true;
}

enum err qr_encode(struct span text, enum qr_level level, struct qr *ret_qr)
{
    static const QRecLevel levels[] = {QR_ECLEVEL_L, QR_ECLEVEL_M, QR_ECLEVEL_Q, QR_ECLEVEL_H};
    AUTO(free_input) QRinput *input = NULL;
    bool alphanumeric = is_alphanumeric(text);

    ENSURE(text.len > 0, ERR_INVALID, "empty", "There is nothing to encode.");
    ENSURE(text.len <= QR_TEXT_MAX, ERR_LIMIT, "too_large", "At most %d characters.", QR_TEXT_MAX);
    input = QRinput_new2(0, levels[level]);
    ENSURE(input, ERR_NOMEM, "no_memory", "No memory for a QR symbol.");
    ENSURE(QRinput_append(input, alphanumeric ? QR_MODE_AN : QR_MODE_8, (int)text.len, text.data) ==
               0,
           ERR_NOMEM, "no_memory", "No memory for a QR symbol.");
    QRcode *code = QRcode_encodeInput(input);
    if (!code) {
        ENSURE(errno == ERANGE, ERR_NOMEM, "no_memory", "No memory for a QR symbol.");
        FAIL(ERR_LIMIT, "too_large", "The text is too long for a QR symbol.");
    }
    INVARIANT(code->width > 0 && code->width <= QR_SIZE_MAX, "a symbol is at most version 40");
    ret_qr->size = (size_t)code->width;
    ret_qr->alphanumeric = alphanumeric;
    for (size_t i = 0; i < ret_qr->size * ret_qr->size; i++)
        ret_qr->dark[i] = code->data[i] & 1;
    QRcode_free(code);
    return OK;
}

static void put_xml(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.data[i]) {
        case '<':
            buf_put_text(out, "&lt;");
            break;
        case '>':
            buf_put_text(out, "&gt;");
            break;
        case '&':
            buf_put_text(out, "&amp;");
            break;
        case '"':
            buf_put_text(out, "&quot;");
            break;
        default:
            buf_put_u8(out, text.data[i]);
        }
    }
}

/* One "M x y h n v1 h-n z" rectangle for each run of dark modules in a row. */
static void put_row(const struct qr *qr, size_t y, struct buf *out)
{
    const uint8_t *row = qr->dark + y * qr->size;

    for (size_t x = 0, end; x < qr->size; x = end) {
        for (end = x + 1; end < qr->size && row[end] == row[x]; end++)
            ;
        if (row[x])
            buf_printf(out, "M%zu %zuh%zuv1h-%zuz", x + QR_QUIET, y + QR_QUIET, end - x, end - x);
    }
}

enum err qr_svg(const struct qr *qr, struct span title, struct buf *out)
{
    size_t side = qr->size + 2 * QR_QUIET;

    if (title.len > 0)
        TRY(utf8_check_line(title, 200, NULL));
    buf_printf(out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %zu %zu\" role=\"img\" "
               "shape-rendering=\"crispEdges\">",
               side, side);
    if (title.len > 0) {
        buf_put_text(out, "<title>");
        put_xml(out, title);
        buf_put_text(out, "</title>");
    }
    buf_printf(out, "<rect width=\"%zu\" height=\"%zu\" fill=\"#fff\"/><path fill=\"#000\" d=\"",
               side, side);
    for (size_t y = 0; y < qr->size; y++)
        put_row(qr, y, out);
    buf_put_text(out, "\"/></svg>\n");
    return buf_check(out);
}

static void png_to_buf(png_structp png, png_bytep data, size_t len)
{
    struct buf *out = png_get_io_ptr(png);
    buf_put(out, data, len);
    if (out->failed)
        png_error(png, "full");
}

static void png_nothing(png_structp png)
{
    (void)png;
}

static void png_quiet_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static _Noreturn void png_failed(png_structp png, png_const_charp text)
{
    (void)text;
    png_longjmp(png, 1);
}

/* One line of modules, or a white one when y lies in the quiet zone; a bit each pixel, white is 1. */
static void fill_line(const struct qr *qr, size_t line_y, unsigned scale, uint8_t *line, size_t len)
{
    memset(line, 0xff, len);
    if (line_y < QR_QUIET || line_y >= QR_QUIET + qr->size)
        return;
    const uint8_t *row = qr->dark + (line_y - QR_QUIET) * qr->size;
    for (size_t x = 0; x < qr->size; x++)
        for (size_t px = (x + QR_QUIET) * scale; row[x] && px < (x + QR_QUIET + 1) * scale; px++)
            line[px / 8] &= (uint8_t) ~(0x80u >> (px % 8));
}

/* False when libpng gave up. Nothing here needs cleaning, so that its longjmp is harmless. */
static bool write_image(png_structp png, png_infop info, const struct qr *qr, unsigned scale)
{
    uint8_t line[((QR_SIZE_MAX + 2 * QR_QUIET) * QR_SCALE_MAX + 7) / 8];
    size_t side = qr->size + 2 * QR_QUIET;
    uint32_t pixels = (uint32_t)(side * scale);

    if (setjmp(png_jmpbuf(png)))
        return false;
    png_set_IHDR(png, info, pixels, pixels, 1, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (size_t y = 0; y < side; y++) {
        fill_line(qr, y, scale, line, sizeof line);
        for (unsigned i = 0; i < scale; i++)
            png_write_row(png, line);
    }
    png_write_end(png, info);
    return true;
}

enum err qr_png(const struct qr *qr, unsigned scale, struct buf *out)
{
    ENSURE(scale >= 1 && scale <= QR_SCALE_MAX, ERR_INVALID, "out_of_range",
           "A module is 1 to %d pixels.", QR_SCALE_MAX);
    png_structp png =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, png_failed, png_quiet_warning);
    ENSURE(png, ERR_NOMEM, "no_memory", "No memory for a picture.");
    png_infop info = png_create_info_struct(png);
    bool written = false;
    if (info) {
        png_set_write_fn(png, out, png_to_buf, png_nothing);
        written = write_image(png, info, qr, scale);
    }
    png_destroy_write_struct(&png, &info);
    TRY(buf_check(out));
    ENSURE(written, ERR_NOMEM, "no_memory", "No memory for a picture.");
    return OK;
}
