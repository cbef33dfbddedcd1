/*
 * Who the process is, what it may do, and what holds it: ids, capabilities, seccomp, Landlock, namespaces.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dump.h"

enum { WORDS = 2, WORD_BITS = 32, MOST_CAPABILITIES = WORDS * WORD_BITS, MOST_GROUPS = 65536 };

/* --- Ids --- */

static void put_four(const char *name, long a, long b, long c, long d) {
  const long ids[] = {a, b, c, d};

  begin_list(name, ON_ONE_LINE);
  for (int i = 0; i < 4; ++i) put_number(NULL, ids[i]);
  end_list();
}

static void put_groups(void) {
  static gid_t groups[MOST_GROUPS];
  const int count = getgroups(MOST_GROUPS, groups);

  begin_list("groups", ON_ONE_LINE);
  for (int i = 0; i < count; ++i) put_number(NULL, groups[i]);
  end_list();
}

/* The fourth of the line, where the call that tells it is denied. */
static long file_id(const char *name, int told) {
  const char *line = told == -1 ? status_of(name) : NULL;
  long id = (uid_t)told;

  if (line != NULL) sscanf(line, "%*d %*d %*d %ld", &id);
  return id;
}

/* setfsuid changes nothing when it is given no id, and tells the one that is. */
void put_ids(void) {
  uid_t uid[3];
  gid_t gid[3];

  getresuid(&uid[0], &uid[1], &uid[2]);
  getresgid(&gid[0], &gid[1], &gid[2]);
  put_four("uid", uid[0], uid[1], uid[2], file_id("Uid", setfsuid((uid_t)-1)));
  put_four("gid", gid[0], gid[1], gid[2], file_id("Gid", setfsgid((gid_t)-1)));
  put_groups();
}

/* --- Capabilities --- */

/* By number, as stdiod's configuration names them. */
static const char *const capabilities[] = {"chown",
                                           "dac_override",
                                           "dac_read_search",
                                           "fowner",
                                           "fsetid",
                                           "kill",
                                           "setgid",
                                           "setuid",
                                           "setpcap",
                                           "linux_immutable",
                                           "net_bind_service",
                                           "net_broadcast",
                                           "net_admin",
                                           "net_raw",
                                           "ipc_lock",
                                           "ipc_owner",
                                           "sys_module",
                                           "sys_rawio",
                                           "sys_chroot",
                                           "sys_ptrace",
                                           "sys_pacct",
                                           "sys_admin",
                                           "sys_boot",
                                           "sys_nice",
                                           "sys_resource",
                                           "sys_time",
                                           "sys_tty_config",
                                           "mknod",
                                           "lease",
                                           "audit_write",
                                           "audit_control",
                                           "setfcap",
                                           "mac_override",
                                           "mac_admin",
                                           "syslog",
                                           "wake_alarm",
                                           "block_suspend",
                                           "audit_read",
                                           "perfmon",
                                           "bpf",
                                           "checkpoint_restore"};
enum { CAPABILITIES = sizeof capabilities / sizeof *capabilities };

static void put_set(const char *name, uint64_t set) {
  begin_list(name, ON_ONE_LINE);
  for (int number = 0; number < MOST_CAPABILITIES; ++number) {
    char unknown[32];
    if ((set >> number & 1) == 0) continue;
    snprintf(unknown, sizeof unknown, "%d", number);
    put_text(NULL, number < CAPABILITIES ? capabilities[number] : unknown);
  }
  end_list();
}

static uint64_t asked(int option, unsigned long argument) {
  uint64_t set = 0;

  for (unsigned long number = 0; number < MOST_CAPABILITIES; ++number) {
    const int answer = argument == 0 ? prctl(option, number) : prctl(option, argument, number, 0, 0);
    if (answer == 1) set |= (uint64_t)1 << number;
  }
  return set;
}

static uint64_t joined(uint32_t low, uint32_t high) {
  return (uint64_t)high << WORD_BITS | low;
}

static void put_capabilities(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[WORDS];

  begin_object("capabilities", ON_LINES);
  if (syscall(SYS_capget, &header, sets) == 0) {
    put_set("effective", joined(sets[0].effective, sets[1].effective));
    put_set("permitted", joined(sets[0].permitted, sets[1].permitted));
    put_set("inheritable", joined(sets[0].inheritable, sets[1].inheritable));
  }
  put_set("ambient", asked(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET));
  put_set("bounding", asked(PR_CAPBSET_READ, 0));
  end_object();
}

static void put_securebits(void) {
  static const struct {
    int bit;
    const char *name;
  } names[] = {{SECURE_NOROOT, "noroot"},
               {SECURE_NOROOT_LOCKED, "noroot-locked"},
               {SECURE_NO_SETUID_FIXUP, "no-setuid-fixup"},
               {SECURE_NO_SETUID_FIXUP_LOCKED, "no-setuid-fixup-locked"},
               {SECURE_KEEP_CAPS, "keep-caps"},
               {SECURE_KEEP_CAPS_LOCKED, "keep-caps-locked"},
               {SECURE_NO_CAP_AMBIENT_RAISE, "no-cap-ambient-raise"},
               {SECURE_NO_CAP_AMBIENT_RAISE_LOCKED, "no-cap-ambient-raise-locked"}};
  const int bits = prctl(PR_GET_SECUREBITS);

  begin_list("securebits", ON_ONE_LINE);
  for (size_t i = 0; bits > 0 && i < sizeof names / sizeof *names; ++i) {
    if ((bits >> names[i].bit & 1) != 0) put_text(NULL, names[i].name);
  }
  end_list();
}

void put_rights(void) {
  put_capabilities();
  put_securebits();
  put_flag("no_new_privileges", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

/* --- What holds it --- */

static void put_seccomp(void) {
  static const char *const modes[] = {"none", "strict", "filter"};
  const char *mode = status_of("Seccomp");
  const int number = mode == NULL ? -1 : atoi(mode);

  put_text("seccomp", number >= 0 && number < 3 ? modes[number] : NULL);
  const char *filters = status_of("Seccomp_filters");
  if (filters == NULL)
    put_null("seccomp_filters");
  else
    put_number("seccomp_filters", atoi(filters));
}

/* The same number on every machine; older headers do not have them. */
enum { CREATE_RULESET = 444, RESTRICT_SELF = 446, ASK_VERSION = 1, EXECUTE = 1, MOST_LAYERS = 16 };

/*
 * The kernel tells nobody what holds them. But no more than 16 rule sets can be laid upon each other: a
 * process of our own lays one after the other upon itself, and what does not go is what lay there before.
 */
static _Noreturn void count_layers(void) {
  const uint64_t handled = EXECUTE;
  const int rules = (int)syscall(CREATE_RULESET, &handled, sizeof handled, 0);
  int added = 0;

  if (rules < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) _exit(MOST_LAYERS + 1);
  while (added < MOST_LAYERS && syscall(RESTRICT_SELF, rules, 0) == 0) ++added;
  if (added < MOST_LAYERS && errno != E2BIG) _exit(MOST_LAYERS + 1);
  _exit(MOST_LAYERS - added);
}

/* -1: it cannot be told. */
static int landlock_layers(void) {
  int status = 0;

  if (syscall(CREATE_RULESET, NULL, 0, ASK_VERSION) < 1) return -1;
  const pid_t pid = fork();
  if (pid == 0) count_layers();
  if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status) <= MOST_LAYERS ? WEXITSTATUS(status) : -1;
}

static void put_landlock(void) {
  const int layers = landlock_layers();

  if (layers < 0)
    put_null("landlock_layers");
  else
    put_number("landlock_layers", layers);
}

/*
 * Which calls a filter denies: a process of our own lays one upon them that answers every call in place of
 * the kernel, weaker than a denial. So none is made, whatever its arguments, and what is denied is denied as
 * ever.
 */
enum { LAST_CALL = 470 };
/* No calls, but two of the kernel's own (uprobe, uretprobe), which no filter sees and which end who makes
 * them. */
enum { GAP_FIRST = 335, GAP_LAST = 423 };

typedef struct {
  const char *name;
  long number;
  unsigned long arguments[4];
} Attempt;

static const Attempt attempts[] = {{"clone: namespaces", SYS_clone, {0x7e020000, 0, 0, 0}},
                                   {"fchmod: set-user-ID", SYS_fchmod, {0, 04755, 0, 0}},
                                   {"fchmod: set-group-ID", SYS_fchmod, {0, 02755, 0, 0}},
                                   {"mkdirat: set-group-ID", SYS_mkdirat, {0, 0, 02755, 0}},
                                   {"openat: set-user-ID", SYS_openat, {0, 0, 0100, 04755}},
                                   {"mmap: write and execute", SYS_mmap, {0, 4096, 7, 0}},
                                   {"mprotect: execute", SYS_mprotect, {0, 4096, 5, 0}},
                                   {"shmat: execute", SYS_shmat, {0, 0, 0100000, 0}},
                                   {"personality", SYS_personality, {0x40000, 0, 0, 0}}};
enum { ATTEMPTS = sizeof attempts / sizeof *attempts };

typedef struct {
  bool calls[LAST_CALL + 1], attempts[ATTEMPTS];
} Denials;

static bool is_denied(long number, const unsigned long *with) {
  if (number == SYS_exit_group || (number >= GAP_FIRST && number <= GAP_LAST)) return false;
  return syscall(number, with[0], with[1], with[2], with[3]) == -1 && errno == EPERM;
}

static _Noreturn void try_calls(Denials *denials) {
  static const unsigned long none[4];
  struct sock_filter lines[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
  };
  const struct sock_fprog program = {sizeof lines / sizeof *lines, lines};

  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) _exit(1);
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0) _exit(1);
  for (long number = 0; number <= LAST_CALL; ++number) denials->calls[number] = is_denied(number, none);
  for (int i = 0; i < ATTEMPTS; ++i)
    denials->attempts[i] = is_denied(attempts[i].number, attempts[i].arguments);
  _exit(0);
}

/* NULL: it cannot be told. */
static const Denials *find_denials(void) {
  Denials *denials = mmap(NULL, sizeof *denials, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int status = 0;

  if (denials == MAP_FAILED) return NULL;
  const pid_t pid = fork();
  if (pid == 0) try_calls(denials);
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return NULL;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? denials : NULL;
}

/* By number, as the kernel knows them; and with arguments, by name. */
static void put_denials(void) {
  const Denials *denials = find_denials();

  if (denials == NULL) {
    put_null("denied_calls");
    return;
  }
  begin_list("denied_calls", ON_ONE_LINE);
  for (int number = 0; number <= LAST_CALL; ++number) {
    if (denials->calls[number]) put_number(NULL, number);
  }
  for (int i = 0; i < ATTEMPTS; ++i) {
    if (denials->attempts[i]) put_text(NULL, attempts[i].name);
  }
  end_list();
}

static void put_namespaces(void) {
  static const char *const names[] = {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"};

  begin_object("namespaces", ON_LINES);
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
    put_text(names[i], target_of(path));
  }
  end_object();
}

static void put_cgroups(void) {
  char line[4096];
  FILE *file = fopen("/proc/self/cgroup", "re");

  begin_list("cgroups", ON_LINES);
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    put_text(NULL, line);
  }
  end_list();
  if (file != NULL) fclose(file);
}

void put_confinement(void) {
  put_seccomp();
  put_denials();
  put_landlock();
  put_text("security_label", line_of("/proc/self/attr/current"));
  put_namespaces();
  put_cgroups();
}
