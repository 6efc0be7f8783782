/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REACH_CLI_COMMANDS_H
#define REACH_CLI_COMMANDS_H

/*
 * commands - the subcommands of gatehouse. Each gets its own arguments (argv[0] is its name) and returns the exit status:
 * 0 done, 1 the answer is no (verify and audit found something), 2 wrong use or could not run, with one sentence on standard error.
 */
enum { EXIT_DONE = 0, EXIT_NO = 1, EXIT_FAILED = 2 };

int command_serve(int argc, char **argv);
int command_demo(int argc, char **argv);
int command_init(int argc, char **argv);
int command_admin(int argc, char **argv);
int command_ledger(int argc, char **argv);
int command_version(int argc, char **argv);

#endif
