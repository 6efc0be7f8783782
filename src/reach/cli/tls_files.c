/* SPDX-License-Identifier: Apache-2.0 */
#include "reach/cli/tls_files.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ground/crypto/x509.h"

enum { NAME_BYTES = 256, DAYS = 397 };
#define DAY_MS (24 * 60 * 60 * (int64_t)1000)

struct names {
    char text[X509_NAMES_MAX][NAME_BYTES];
    size_t count;
};

static void add_name(struct names *n, const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len >= NAME_BYTES || n->count == X509_NAMES_MAX)
        return;
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->text[i], name) == 0)
            return;
    memcpy(n->text[n->count++], name, len + 1);
}

/* The n-th address of this machine that others may reach: up, not loopback, not link-local. */
static bool is_reachable(const struct ifaddrs *i, char *out, size_t size)
{
    if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || (i->ifa_flags & IFF_LOOPBACK))
        return false;
    if (i->ifa_addr->sa_family == AF_INET)
        return inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr, out,
                         (socklen_t)size) != NULL;
    if (i->ifa_addr->sa_family == AF_INET6) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)i->ifa_addr;
        return !IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr) &&
               inet_ntop(AF_INET6, &six->sin6_addr, out, (socklen_t)size) != NULL;
    }
    return false;
}

void tls_files_shown_address(const char *listen_host, char *out, size_t size)
{
    struct ifaddrs *all = NULL;
    char text[INET6_ADDRSTRLEN];

    (void)snprintf(out, size, strchr(listen_host, ':') ? "[%s]" : "%s", listen_host);
    if (strcmp(listen_host, "0.0.0.0") != 0 && strcmp(listen_host, "::") != 0)
        return;
    (void)snprintf(out, size, "localhost");
    if (getifaddrs(&all) != 0)
        return;
    for (struct ifaddrs *i = all; i; i = i->ifa_next)
        if (is_reachable(i, text, sizeof text) && !strchr(text, ':')) {
            (void)snprintf(out, size, "%s", text);
            break;
        }
    freeifaddrs(all);
}

static void collect_names(const struct install *install, struct names *n)
{
    char host[NAME_BYTES], text[INET6_ADDRSTRLEN], words[SETTING_MAX];
    struct ifaddrs *all = NULL;

    add_name(n, "localhost");
    add_name(n, "127.0.0.1");
    add_name(n, "::1");
    (void)snprintf(words, sizeof words, "%s", install->settings.server_tls_names);
    for (char *rest = words, *word; (word = strsep(&rest, " ")) != NULL;)
        add_name(n, word);
    if (gethostname(host, sizeof host) == 0)
        add_name(n, host);
    if (getifaddrs(&all) != 0)
        return;
    for (struct ifaddrs *i = all; i; i = i->ifa_next)
        if (is_reachable(i, text, sizeof text))
            add_name(n, text);
    freeifaddrs(all);
}

static bool still_good(const struct install *install, const struct clock *clock,
                       const struct names *n)
{
    AUTO(buf_done) struct buf cert = {0};
    AUTO(buf_done) struct buf ca = {0};
    struct x509_facts facts;
    bool covers = true;

    buf_init(&cert, X509_PEM_MAX);
    buf_init(&ca, X509_PEM_MAX);
    if (install->disk.read(install->disk.self, "tls/server.pem", &cert) != OK ||
        install->disk.read(install->disk.self, "tls/ca.pem", &ca) != OK ||
        x509_read(buf_span(&cert), &facts) != OK ||
        facts.not_after_ms < clock_now_ms(clock) + 30 * DAY_MS ||
        x509_issued_by(clock, buf_span(&cert), buf_span(&ca)) != OK)
        return false;
    for (size_t i = 0; i < n->count && covers; i++)
        if (x509_covers(buf_span(&cert), n->text[i], &covers) != OK)
            return false;
    return covers;
}

enum err tls_files_ready(const struct install *install, const struct clock *clock)
{
    AUTO(buf_done) struct buf ca = {0};
    AUTO(buf_done) struct buf ca_key = {0};
    AUTO(buf_done) struct buf cert = {0};
    AUTO(buf_done) struct buf key = {0};
    const char *list[X509_NAMES_MAX];
    struct names names = {0};
    const struct disk *disk = &install->disk;

    collect_names(install, &names);
    if (still_good(install, clock, &names))
        return OK;
    for (size_t i = 0; i < names.count; i++)
        list[i] = names.text[i];
    buf_init(&ca, X509_PEM_MAX);
    buf_init(&ca_key, X509_PEM_MAX);
    buf_init(&cert, X509_PEM_MAX);
    buf_init(&key, X509_PEM_MAX);
    TRY(disk->read(disk->self, "tls/ca.pem", &ca));
    TRY(disk->read(disk->self, "tls/ca-key.pem", &ca_key));
    const struct x509_request request = {list, names.count, DAYS};
    TRY(x509_issue(clock, buf_span(&ca), buf_span(&ca_key), &request, &cert, &key));
    /* Why first: dying between the next two must not leave a certificate that looks good beside another key. */
    enum err removed = disk->remove(disk->self, "tls/server.pem");
    if (removed != ERR_NOT_FOUND)
        TRY(removed);
    TRY(disk->replace(disk->self, "tls/server-key.pem", buf_span(&key), 0600));
    return disk->replace(disk->self, "tls/server.pem", buf_span(&cert), 0644);
}
