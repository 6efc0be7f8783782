/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_serve - gatehouse serve. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ground/proc/sandbox.h"
#include "ground/proc/spawn.h"
#include "reach/cli/app.h"
#include "reach/cli/commands.h"
#include "reach/cli/options.h"

enum { LOOK_EVERY_MS = 200 };

static const char serve_usage[] =
    "Usage: gatehouse serve --dir DIR\n"
    "Serves the installation in DIR (made by gatehouse init) until it is interrupted. When it is "
    "ready it prints one line of JSON.\n"
    "  --dir DIR   the data directory\n"
    "  --help      this text\n";

static void print_ready(const struct app *app)
{
    const char *link = app_owner_link(app);

    (void)printf(
        "{\"ready\":true,\"origin\":\"%s\",\"http\":\"%s\",\"https\":\"%s\",\"owner_link\":",
        app_origin(app), app_http_origin(app), app_tls_origin(app));
    if (link[0])
        (void)printf("\"%s\"}\n", link);
    else
        (void)printf("null}\n");
    (void)fflush(stdout);
}

/* Until a signal asks for the end, or a part has failed. */
static int serve_until_told(const struct app *app, int signals)
{
    struct pollfd fd = {.fd = signals, .events = POLLIN};

    while (!app_failed(app))
        if (poll(&fd, 1, LOOK_EVERY_MS) > 0 && proc_signals_read(signals) > 0)
            return EXIT_DONE;
    return EXIT_FAILED;
}

int command_serve(int argc, char **argv)
{
    const char *dir = NULL;
    const struct option_spec specs[] = {{"dir", &dir, NULL}};
    struct install install;
    struct app *app;
    int signals;

    options_read(argc, argv, serve_usage, specs, COUNT_OF(specs), NULL, 0, NULL);
    if (!dir) {
        (void)fprintf(stderr, "gatehouse: serve needs --dir.\n%s", serve_usage);
        return EXIT_FAILED;
    }
    log_setup(LOG_INFO, "serve");
    if (proc_signals_open(&signals) != OK || install_open(dir, &install) != OK)
        return options_failed("serve");
    if (sandbox_no_dumps() != OK ||
        app_open(&(struct app_config){.install = &install}, &app) != OK) {
        install_close(&install);
        return options_failed("serve");
    }
    print_ready(app);
    int status = serve_until_told(app, signals);
    app_close(app);
    install_close(&install);
    close(signals);
    return status;
}
