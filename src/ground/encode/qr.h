/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GROUND_ENCODE_QR_H
#define GROUND_ENCODE_QR_H

/*
 * qr - text as a QR symbol (ISO/IEC 18004, by libqrencode), as SVG or PNG. Always black on white with the quiet zone of
 * four modules that scanners need, whatever the page around it looks like.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ground/base/span.h"

enum { QR_TEXT_MAX = 1200, QR_SIZE_MAX = 177, QR_QUIET = 4, QR_SCALE_MAX = 32 };
enum qr_level { QR_LOW, QR_MEDIUM, QR_QUARTILE, QR_HIGH };

struct qr {
    size_t size; /* modules a side, without the quiet zone */
    bool alphanumeric;
    uint8_t dark[QR_SIZE_MAX * QR_SIZE_MAX]; /* row by row, 0 or 1 */
};

/*
 * The smallest symbol that holds the text: in alphanumeric mode when every character allows it (ticket codes do), as bytes
 * otherwise. ERR_LIMIT "too_large" past QR_TEXT_MAX or what a symbol holds; ERR_INVALID for an empty text.
 */
RESULT qr_encode(struct span text, enum qr_level level, struct qr *ret_qr);
/* A whole <svg> document of one path, title as its accessible name (empty: none). ERR_LIMIT when out is full. */
RESULT qr_svg(const struct qr *qr, struct span title, struct buf *out);
/* A 1-bit PNG with scale (1..QR_SCALE_MAX) pixels a module. */
RESULT qr_png(const struct qr *qr, unsigned scale, struct buf *out);

#endif
