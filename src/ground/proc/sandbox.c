/* SPDX-License-Identifier: Apache-2.0 */
#include "ground/proc/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ground/base/fd.h"

static void filter_done(scmp_filter_ctx *filter)
{
    if (*filter)
        seccomp_release(*filter);
}

/* --- Landlock: the C library has no wrappers in Debian 12 ----------------------------------------------------------- */

/* Named here because older kernel headers lack it (ABI 3). */
#define ACCESS_TRUNCATE (1ULL << 14)
#define ACCESS_ABI1                                                                                \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |   \
     LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR |                                 \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_WRITE                                                                               \
    (ACCESS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |                \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | ACCESS_TRUNCATE)
/* What may be granted on something that is not a directory. */
#define ACCESS_FILE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)

static enum err allow_path(int ruleset, const char *path, uint64_t access, bool directory)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = access};
    AUTO(fd_close)
    int fd = open(path, O_PATH | O_CLOEXEC | (directory ? O_DIRECTORY : 0));

    ENSURE(fd >= 0, ERR_IO, "sandbox_failed", "Cannot open %s for the sandbox: %s", path,
           strerror(errno));
    rule.parent_fd = fd;
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0U) == 0)
        return OK;
    rule.allowed_access &= ACCESS_FILE; /* EINVAL: not a directory */
    ENSURE(!directory &&
               syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0U) == 0,
           ERR_IO, "sandbox_failed", "Landlock refuses a rule: %s", strerror(errno));
    return OK;
}

static enum err confine_paths(const struct sandbox_spec *spec, bool *ret_landlock)
{
    long abi =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
    uint64_t handled = ACCESS_ABI1 | (abi >= 3 ? ACCESS_TRUNCATE : 0);
    struct landlock_ruleset_attr attr = {.handled_access_fs = handled};

    *ret_landlock = false;
    if (abi < 1)
        return OK; /* built without it, or switched off */
    AUTO(fd_close)
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0U);
    ENSURE(ruleset >= 0, ERR_IO, "sandbox_failed", "No Landlock ruleset: %s", strerror(errno));
    for (size_t i = 0; i < spec->write_dir_count; i++)
        TRY(allow_path(ruleset, spec->write_dirs[i], ACCESS_WRITE & handled, true));
    for (size_t i = 0; i < spec->read_path_count; i++)
        TRY(allow_path(ruleset, spec->read_paths[i], ACCESS_READ & handled, false));
    ENSURE(syscall(SYS_landlock_restrict_self, ruleset, 0U) == 0, ERR_IO, "sandbox_failed",
           "Landlock refuses: %s", strerror(errno));
    *ret_landlock = true;
    return OK;
}

/* --- seccomp --------------------------------------------------------------------------------------------------------- */

static const int signer_calls[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(lseek),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fcntl),
    SCMP_SYS(flock),
    SCMP_SYS(getdents64),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(futex),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(mlock),
    SCMP_SYS(munlock),
    SCMP_SYS(brk),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(sched_yield),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};
/* Allowed only relative to an open directory: AT_FDCWD and with it every relative path of the process is negative. */
static const int signer_at_calls[] = {
    SCMP_SYS(openat),   SCMP_SYS(mkdirat),  SCMP_SYS(newfstatat),
    SCMP_SYS(unlinkat), SCMP_SYS(renameat),
};
static const int signer_two_dir_calls[] = {SCMP_SYS(linkat), SCMP_SYS(renameat2)};

#define NOT_NEGATIVE(arg) SCMP_CMP((arg), SCMP_CMP_MASKED_EQ, 0x80000000U, 0)
#define NOT_EXECUTABLE(arg) SCMP_CMP((arg), SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)

static int add_signer_rules(scmp_filter_ctx f)
{
    int bad = 0;

    for (size_t i = 0; i < COUNT_OF(signer_calls); i++)
        bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, signer_calls[i], 0);
    for (size_t i = 0; i < COUNT_OF(signer_at_calls); i++)
        bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, signer_at_calls[i], 1, NOT_NEGATIVE(0));
    for (size_t i = 0; i < COUNT_OF(signer_two_dir_calls); i++)
        bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, signer_two_dir_calls[i], 2, NOT_NEGATIVE(0),
                                NOT_NEGATIVE(2));
    bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, NOT_EXECUTABLE(2));
    bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, NOT_EXECUTABLE(2));
    /* abort() raises a signal in this process; no other may be reached. */
    bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                            SCMP_CMP(0, SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)getpid()));
    return bad;
}

static const int network_denied[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(kcmp),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(acct),
    SCMP_SYS(quotactl),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(personality),
};

static int add_network_rules(scmp_filter_ctx f)
{
    int bad = 0;

    for (size_t i = 0; i < COUNT_OF(network_denied); i++)
        bad |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), network_denied[i], 0);
    return bad;
}

static enum err filter_calls(enum sandbox_profile profile)
{
    bool signer = profile == SANDBOX_SIGNER;
    AUTO(filter_done)
    scmp_filter_ctx f = seccomp_init(signer ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_ALLOW);

    ENSURE(f, ERR_IO, "sandbox_failed", "No seccomp filter.");
    int bad = signer ? add_signer_rules(f) : add_network_rules(f);
    ENSURE(bad == 0 && seccomp_load(f) == 0, ERR_IO, "sandbox_failed",
           "The kernel refuses the seccomp filter.");
    return OK;
}

enum err sandbox_no_dumps(void)
{
    struct rlimit none = {0, 0};

    ENSURE(setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0, ERR_IO,
           "sandbox_failed", "Core dumps cannot be switched off: %s", strerror(errno));
    return OK;
}

enum err sandbox_enter(const struct sandbox_spec *spec, bool *ret_landlock)
{
    bool landlock = false;

    TRY(sandbox_no_dumps());
    ENSURE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, ERR_IO, "sandbox_failed",
           "no_new_privs is refused: %s", strerror(errno));
    /* Why only the signer: a program with network reads name service files and certificates all over the system. */
    if (spec->profile == SANDBOX_SIGNER || spec->write_dir_count + spec->read_path_count > 0)
        TRY(confine_paths(spec, &landlock));
    TRY(filter_calls(spec->profile));
    *ret_landlock = landlock;
    return OK;
}
