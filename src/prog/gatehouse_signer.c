/* SPDX-License-Identifier: Apache-2.0 */
/* gatehouse-signer - the process that holds the signing keys; gatehouse serve starts it. */
#include <signal.h>

#include "ground/proc/spawn.h"
#include "reach/cli/install.h"
#include "reach/cli/options.h"
#include "trust/signer/signer.h"

int main(int argc, char **argv)
{
    const char *dir = NULL, *of = NULL;
    const struct option_spec specs[] = {{"of", &of, NULL}, {"dir", &dir, NULL}};
    char own[INSTALL_PATH_MAX], master[INSTALL_PATH_MAX];
    struct install install;

    options_read(argc, argv,
                 "Usage: gatehouse-signer --of VERSION --dir DIR (started by gatehouse serve)\n",
                 specs, COUNT_OF(specs), NULL, 0, NULL);
    options_of_same_version(of);
    log_setup(LOG_INFO, "signer");
    /* It ends when the server closes the socket, after the last checkpoint was signed; not with it, at one Ctrl-C for all. */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    if (!dir || install_open(dir, &install) != OK)
        return options_failed("signer");
    install_path(&install, "signer", own);
    install_path(&install, "keys/signer-master", master);
    const struct signer_config config = {
        .dir = own, .master_path = master, .log_origin = install.settings.log_origin};
    int status = signer_main(PROC_CHILD_FD, &config);
    install_close(&install);
    return status;
}
