/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_init - gatehouse init and gatehouse version. */
#include <stdio.h>

#include "reach/cli/commands.h"
#include "reach/cli/install.h"
#include "reach/cli/options.h"

static const char init_usage[] =
    "Usage: gatehouse init --dir DIR [--origin URL] [--listen HOST:PORT] [--tls-listen HOST:PORT] "
    "[--log-origin NAME]\n"
    "Makes a data directory: settings, keys, a local certificate authority. Nothing is "
    "overwritten.\n"
    "  --dir DIR              where; made with the directories above it\n"
    "  --origin URL           what fans type, such as https://tickets.example.org\n"
    "  --listen HOST:PORT     plain HTTP, loopback only (default 127.0.0.1:8080)\n"
    "  --tls-listen HOST:PORT HTTPS, such as 0.0.0.0:8443\n"
    "  --log-origin NAME      name of the ledger, for ever (default: made from the origin)\n"
    "  --help                 this text\n";

int command_init(int argc, char **argv)
{
    struct install_wish wish = {0};
    const struct option_spec specs[] = {{"dir", &wish.dir, NULL},
                                        {"origin", &wish.origin, NULL},
                                        {"listen", &wish.listen, NULL},
                                        {"tls-listen", &wish.tls_listen, NULL},
                                        {"log-origin", &wish.log_origin, NULL}};
    struct install install;

    options_read(argc, argv, init_usage, specs, COUNT_OF(specs), NULL, 0, NULL);
    if (!wish.dir) {
        (void)fprintf(stderr, "gatehouse: init needs --dir.\n%s", init_usage);
        return EXIT_FAILED;
    }
    if (crypto_init() != OK || install_create(&wish, clock_system()) != OK ||
        install_open(wish.dir, &install) != OK)
        return options_failed("init");
    (void)printf("Made %s.\nLook through %s/gatehouse.conf, then run: gatehouse serve --dir %s\n",
                 install.dir, install.dir, install.dir);
    install_close(&install);
    return EXIT_DONE;
}

int command_version(int argc, char **argv)
{
    bool json = false;
    const struct option_spec specs[] = {{"json", NULL, &json}};

    options_read(argc, argv, "Usage: gatehouse version [--json]\n", specs, COUNT_OF(specs), NULL, 0,
                 NULL);
    (void)printf(json ? "{\"version\":\"%s\"}\n" : "gatehouse %s\n", GATEHOUSE_VERSION);
    return EXIT_DONE;
}
