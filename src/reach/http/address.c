/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/http/address.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_v4(struct http_address a)
{
    return memcmp(a.b, mapped, sizeof mapped) == 0;
}

enum err http_address_parse(struct span text, struct http_address *ret_address)
{
    struct http_address a;
    char copy[HTTP_ADDRESS_TEXT_MAX];

    ENSURE(text.len > 0 && text.len < sizeof copy && !memchr(text.data, 0, text.len), ERR_INVALID,
           "bad_address", "That is not an IP address.");
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    memcpy(a.b, mapped, sizeof mapped);
    ENSURE(inet_pton(AF_INET, copy, a.b + 12) == 1 || inet_pton(AF_INET6, copy, a.b) == 1,
           ERR_INVALID, "bad_address", "That is not an IP address.");
    *ret_address = a;
    return OK;
}

void http_address_format(struct http_address a, char *out)
{
    const char *done = is_v4(a) ? inet_ntop(AF_INET, a.b + 12, out, HTTP_ADDRESS_TEXT_MAX)
                                : inet_ntop(AF_INET6, a.b, out, HTTP_ADDRESS_TEXT_MAX);
    INVARIANT(done, "every address can be written");
}

void http_address_from_socket(const struct sockaddr_storage *from, struct http_address *ret_address)
{
    memset(ret_address, 0, sizeof *ret_address);
    if (from->ss_family == AF_INET) {
        memcpy(ret_address->b, mapped, sizeof mapped);
        memcpy(ret_address->b + 12, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    } else if (from->ss_family == AF_INET6) {
        memcpy(ret_address->b, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
    }
}

bool http_address_is_loopback(struct http_address a)
{
    static const uint8_t one[16] = {[15] = 1};
    return is_v4(a) ? a.b[12] == 127 : memcmp(a.b, one, sizeof one) == 0;
}

enum err http_network_parse(struct span text, struct http_network *ret_network)
{
    struct http_network n;
    size_t slash = span_find(text, '/');
    uint64_t bits;

    TRY(http_address_parse(span_sub(text, 0, slash), &n.address));
    if (slash == text.len) {
        n.prefix_bits = 128;
    } else {
        TRY(text_to_u64(span_sub(text, slash + 1, text.len - slash - 1), &bits));
        ENSURE(bits <= (is_v4(n.address) ? 32 : 128), ERR_INVALID, "bad_network",
               "The prefix is longer than the address.");
        n.prefix_bits = (unsigned)bits + (is_v4(n.address) ? 96 : 0);
    }
    *ret_network = n;
    return OK;
}

bool http_network_holds(const struct http_network *n, struct http_address a)
{
    unsigned whole = n->prefix_bits / 8, rest = n->prefix_bits % 8;
    if (memcmp(n->address.b, a.b, whole) != 0)
        return false;
    return rest == 0 || ((n->address.b[whole] ^ a.b[whole]) >> (8 - rest)) == 0;
}

uint64_t http_address_key(struct http_address a)
{
    return get_u64be(is_v4(a) ? a.b + 8 : a.b);
}
