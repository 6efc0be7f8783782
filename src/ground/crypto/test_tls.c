/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "ground/base/base.h"
#include "ground/crypto/crypto.h"
#include "ground/crypto/tls.h"
#include "ground/crypto/x509.h"

static struct buf ca_cert, ca_key, cert, key, other_key;

static int start(void **state)
{
    const char *const names[] = {"shop.example"};
    struct x509_request request = {.names = names, .name_count = 1, .days = 30};
    struct buf scratch;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)state;
    assert_int_equal(sigaction(SIGPIPE, &ignore, NULL), 0);
    assert_int_equal(crypto_init(), OK);
    struct buf *all[] = {&ca_cert, &ca_key, &cert, &key, &other_key, &scratch};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        buf_init(all[i], X509_PEM_MAX);
    assert_int_equal(x509_ca_create(clock_system(), "Test authority", &ca_cert, &ca_key), OK);
    assert_int_equal(
        x509_issue(clock_system(), buf_span(&ca_cert), buf_span(&ca_key), &request, &cert, &key),
        OK);
    assert_int_equal(x509_issue(clock_system(), buf_span(&ca_cert), buf_span(&ca_key), &request,
                                &scratch, &other_key),
                     OK);
    buf_done(&scratch);
    return 0;
}

static int stop(void **state)
{
    struct buf *all[] = {&ca_cert, &ca_key, &cert, &key, &other_key};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(all); i++)
        buf_done(all[i]);
    return 0;
}

/* Two ends of a socket pair, neither of which blocks. */
struct pair {
    int fd[2];
    struct tls_context *contexts[2];
    struct tls *ends[2]; /* client, server */
};

static void pair_open(struct pair *p, const char *name)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p->fd), 0);
    assert_int_equal(tls_context_client(buf_span(&ca_cert), &p->contexts[0]), OK);
    assert_int_equal(tls_context_server(buf_span(&cert), buf_span(&key), &p->contexts[1]), OK);
    assert_int_equal(tls_connect(p->contexts[0], p->fd[0], name, &p->ends[0]), OK);
    assert_int_equal(tls_accept(p->contexts[1], p->fd[1], &p->ends[1]), OK);
}

static void pair_close(struct pair *p)
{
    for (int i = 0; i < 2; i++) {
        tls_close(p->ends[i]);
        tls_context_close(p->contexts[i]);
        close(p->fd[i]);
    }
}

/* Both sides in turn, until neither wants anything; the last outcome of each. */
static void shake(struct pair *p, enum tls_io io[2])
{
    io[0] = io[1] = TLS_WANT_READ;
    for (int round = 0; round < 20; round++)
        for (int i = 0; i < 2; i++)
            if (io[i] == TLS_WANT_READ || io[i] == TLS_WANT_WRITE)
                io[i] = tls_handshake(p->ends[i]);
}

static void bytes_go_both_ways_and_the_end_is_told(void **state)
{
    struct pair p;
    enum tls_io io[2];
    char in[16];
    size_t n = 0;
    (void)state;
    pair_open(&p, "shop.example");
    assert_int_equal(tls_handshake(p.ends[1]), TLS_WANT_READ);
    shake(&p, io);
    assert_int_equal(io[0], TLS_DONE);
    assert_int_equal(io[1], TLS_DONE);
    assert_string_equal(tls_version(p.ends[1]), "TLSv1.3");
    assert_int_equal(tls_read(p.ends[1], in, sizeof in, &n), TLS_WANT_READ);
    assert_int_equal(tls_write(p.ends[0], "hello", 5, &n), TLS_DONE);
    assert_int_equal(tls_read(p.ends[1], in, sizeof in, &n), TLS_DONE);
    assert_int_equal(n, 5);
    assert_memory_equal(in, "hello", 5);
    tls_end(p.ends[1]);
    enum tls_io last;
    while ((last = tls_read(p.ends[0], in, sizeof in, &n)) == TLS_DONE)
        ;
    assert_int_equal(last, TLS_CLOSED);
    pair_close(&p);
}

static void a_full_socket_wants_to_be_written_later(void **state)
{
    struct pair p;
    enum tls_io io[2], last = TLS_DONE;
    static uint8_t many[100000], in[100000];
    size_t sent = 0, heard = 0, n;
    (void)state;
    pair_open(&p, "shop.example");
    shake(&p, io);
    while (sent < 100 * sizeof many &&
           (last = tls_write(p.ends[0], many, sizeof many, &n)) == TLS_DONE)
        sent += n;
    assert_int_equal(last, TLS_WANT_WRITE);
    while (heard < sent && tls_read(p.ends[1], in, sizeof in, &n) == TLS_DONE)
        heard += n;
    assert_int_equal(tls_write(p.ends[0], many, sizeof many, &n), TLS_DONE);
    pair_close(&p);
}

static void a_peer_that_vanishes_is_not_an_orderly_end(void **state)
{
    struct pair p;
    enum tls_io io[2];
    char in[16];
    size_t n;
    (void)state;
    pair_open(&p, "shop.example");
    shake(&p, io);
    shutdown(p.fd[0], SHUT_RDWR);
    assert_int_equal(tls_read(p.ends[1], in, sizeof in, &n), TLS_FAILED);
    pair_close(&p);
}

static void the_wrong_name_and_an_unknown_authority_are_refused(void **state)
{
    struct pair p;
    enum tls_io io[2];
    AUTO(buf_done) struct buf strange, strange_key;
    (void)state;
    pair_open(&p, "evil.example");
    shake(&p, io);
    assert_int_equal(io[0], TLS_FAILED);
    pair_close(&p);
    buf_init(&strange, X509_PEM_MAX);
    buf_init(&strange_key, X509_PEM_MAX);
    assert_int_equal(x509_ca_create(clock_system(), "Stranger", &strange, &strange_key), OK);
    pair_open(&p, "shop.example");
    tls_close(p.ends[0]);
    tls_context_close(p.contexts[0]);
    assert_int_equal(tls_context_client(buf_span(&strange), &p.contexts[0]), OK);
    assert_int_equal(tls_connect(p.contexts[0], p.fd[0], "shop.example", &p.ends[0]), OK);
    shake(&p, io);
    assert_int_equal(io[0], TLS_FAILED);
    pair_close(&p);
}

/* A raw OpenSSL client that offers what it is told to; whether the handshake with our server succeeds. */
static bool offers(int version, const char *protocols)
{
    struct pair p;
    enum tls_io io[2];
    pair_open(&p, "shop.example");
    SSL *client = (SSL *)(void *)p.ends[0];
    SSL_set_min_proto_version(client, 0);
    SSL_set_security_level(client, 0);
    assert_int_equal(SSL_set_max_proto_version(client, version), 1);
    if (protocols)
        assert_int_equal(SSL_set_alpn_protos(client, (const unsigned char *)protocols,
                                             (unsigned)strlen(protocols)),
                         0);
    shake(&p, io);
    bool done = io[0] == TLS_DONE && io[1] == TLS_DONE;
    pair_close(&p);
    return done;
}

static void old_versions_and_other_protocols_are_refused(void **state)
{
    (void)state;
    assert_true(offers(TLS1_3_VERSION, NULL));
    assert_true(offers(TLS1_2_VERSION, NULL));
    assert_false(offers(TLS1_1_VERSION, NULL));
    assert_false(offers(TLS1_VERSION, NULL));
    assert_true(offers(TLS1_3_VERSION, "\x02h2\x08http/1.1"));
    assert_false(offers(TLS1_3_VERSION, "\x02h2"));
}

static void a_certificate_that_cannot_be_used_is_refused(void **state)
{
    struct tls_context *c = NULL;
    AUTO(buf_done) struct buf half;
    (void)state;
    buf_init(&half, X509_PEM_MAX);
    buf_put(&half, cert.data, cert.len / 2);
    assert_int_equal(tls_context_server(SPAN_LIT(""), buf_span(&key), &c), ERR_INVALID);
    assert_int_equal(tls_context_server(buf_span(&half), buf_span(&key), &c), ERR_INVALID);
    assert_int_equal(tls_context_server(buf_span(&cert), buf_span(&cert), &c), ERR_INVALID);
    assert_int_equal(tls_context_server(buf_span(&cert), buf_span(&other_key), &c), ERR_INVALID);
    assert_string_equal(err_last()->slug, "bad_private_key");
    assert_int_equal(tls_context_client(SPAN_LIT("nothing"), &c), ERR_INVALID);
    assert_int_equal(tls_context_server_files("/nonexistent", "/nonexistent", &c), ERR_NOT_FOUND);
    buf_reset(&half);
    buf_put_span(&half, buf_span(&cert));
    buf_put(&half, ca_cert.data, ca_cert.len / 2);
    assert_int_equal(tls_context_server(buf_span(&half), buf_span(&key), &c), ERR_INVALID);
    assert_null(c);
}

static void a_certificate_comes_from_files_with_its_chain(void **state)
{
    char dir[] = "/tmp/tls-test-XXXXXX", path[2][64];
    struct disk disk;
    struct tls_context *c = NULL;
    AUTO(buf_done) struct buf chain;
    (void)state;
    buf_init(&chain, X509_PEM_MAX);
    buf_put_span(&chain, buf_span(&cert));
    buf_put_span(&chain, buf_span(&ca_cert));
    assert_non_null(mkdtemp(dir));
    assert_int_equal(disk_open(dir, &disk), OK);
    assert_int_equal(disk.replace(disk.self, "cert.pem", buf_span(&chain), 0644), OK);
    assert_int_equal(disk.replace(disk.self, "key.pem", buf_span(&key), 0600), OK);
    (void)snprintf(path[0], sizeof path[0], "%s/cert.pem", dir);
    (void)snprintf(path[1], sizeof path[1], "%s/key.pem", dir);
    assert_int_equal(tls_context_server_files(path[0], path[1], &c), OK);
    tls_context_close(c);
    assert_int_equal(unlink(path[0]) | unlink(path[1]) | rmdir(dir), 0);
    disk_close(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways_and_the_end_is_told),
        cmocka_unit_test(a_full_socket_wants_to_be_written_later),
        cmocka_unit_test(a_peer_that_vanishes_is_not_an_orderly_end),
        cmocka_unit_test(the_wrong_name_and_an_unknown_authority_are_refused),
        cmocka_unit_test(old_versions_and_other_protocols_are_refused),
        cmocka_unit_test(a_certificate_that_cannot_be_used_is_refused),
        cmocka_unit_test(a_certificate_comes_from_files_with_its_chain),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
