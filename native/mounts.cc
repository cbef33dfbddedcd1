// Mounts in a namespace of a service's own, made by the thread that makes its sandbox. What the machine
// mounts and unmounts later is seen there too, and nothing of this outside.
#include "mounts.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

// linux/mount.h (Linux 5.2), beside which libc's own header does not stand everywhere. The numbers are the
// same everywhere.
constexpr long kOpenTree = 428, kMoveMount = 429;
constexpr unsigned kCloneTree = 1, kFromEmptyPath = 4, kToEmptyPath = 0x40;

constexpr unsigned long kQuiet = MS_NOSUID | MS_NODEV;
// Of the memory of the machine, for all children of the service together.
// Every file takes memory of its own, however empty it is.
constexpr const char *kTmpOptions = "mode=1777,size=10%,nr_inodes=131072";
// Where the covers are made: a folder that is there on every machine that stdiod runs on. It is uncovered
// again.
constexpr const char *kBench = "/proc";
constexpr const char *kFolder = "/proc/folder";
constexpr const char *kFile = "/proc/file";
constexpr size_t kPage = 4096;

// Both names lead to the same folder: one measure for both.
bool mount_tmp(Fault *fault) {
  if (mount("tmpfs", "/tmp", "tmpfs", kQuiet, kTmpOptions) < 0) return fail(fault, "mount /tmp");
  const bool is_done = mount("/tmp", "/var/tmp", nullptr, MS_BIND, nullptr) == 0 || errno == ENOENT;
  return is_done || fail(fault, "mount /var/tmp");
}

// linux/mount.h (Linux 5.12), as above.
constexpr long kMountSetAttr = 442;
constexpr uint64_t kNoDevices = 4;
struct MountAttributes {
  uint64_t set, clear, propagation, namespace_fd;
};
constexpr const char *kHarmless[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};

bool set_attributes(const char *path, unsigned flags, const MountAttributes &attributes) {
  return syscall(kMountSetAttr, AT_FDCWD, path, flags, &attributes, sizeof attributes) == 0;
}

// A node is laid upon itself: a mount of its own, on which devices work. A machine without one of them does
// without.
bool keep_device(const char *path, Fault *fault) {
  if (mount(path, path, nullptr, MS_BIND, nullptr) < 0) return errno == ENOENT || fail(fault, "mount /dev");
  return set_attributes(path, 0, {0, kNoDevices, 0, 0}) || fail(fault, "mount_setattr /dev");
}

// On no file system, whatever nodes there are on it.
bool take_devices(Fault *fault) {
  if (!set_attributes("/", AT_RECURSIVE, {kNoDevices, 0, 0, 0})) return fail(fault, "mount_setattr /");
  for (const char *path : kHarmless) {
    if (!keep_device(path, fault)) return false;
  }
  return true;
}

// Read only, since what the machine may have covered in its own /proc is open in a new one.
bool mount_proc(Fault *fault) {
  const unsigned long flags = kQuiet | MS_NOEXEC | MS_RDONLY;
  return mount("proc", "/proc", "proc", flags, "hidepid=invisible") == 0 || fail(fault, "mount /proc");
}

struct Target {
  int fd = -1;
  int cover = -1;
  bool is_folder = false;
};

struct Targets {
  std::vector<Target> all;
  Targets() = default;
  Targets(const Targets &) = delete;
  Targets &operator=(const Targets &) = delete;
  ~Targets() {
    for (const Target &target : all) {
      if (target.fd >= 0) close(target.fd);
      if (target.cover >= 0) close(target.cover);
    }
  }
};

// Before anything covers the way to them.
bool open_targets(const std::vector<std::string> &paths, Targets *targets, Fault *fault) {
  for (const std::string &path : paths) {
    Target target;
    struct stat facts;
    fault->path = &path;
    target.fd = open(path.c_str(), O_PATH | O_CLOEXEC);
    if (target.fd < 0) return fail(fault, "open " + path);
    const bool is_known = fstat(target.fd, &facts) == 0;
    target.is_folder = is_known && S_ISDIR(facts.st_mode);
    targets->all.push_back(target);
    if (!is_known) return fail(fault, "stat " + path);
    fault->path = nullptr;
  }
  return true;
}

// Closed to everybody, and empty for those whom no mode keeps out.
bool make_covers(Targets *targets, Fault *fault) {
  if (mkdir(kFolder, 0) < 0) return fail(fault, "mkdir");
  if (mknod(kFile, S_IFREG, 0) < 0) return fail(fault, "mknod");
  if (mount(nullptr, kBench, nullptr, MS_REMOUNT | MS_RDONLY | MS_NOEXEC | kQuiet, nullptr) < 0)
    return fail(fault, "mount");
  for (Target &target : targets->all) {
    const char *from = target.is_folder ? kFolder : kFile;
    target.cover = static_cast<int>(syscall(kOpenTree, AT_FDCWD, from, kCloneTree | O_CLOEXEC));
    if (target.cover < 0) return fail(fault, "open_tree");
  }
  return true;
}

bool lay_covers(const Targets &targets, Fault *fault) {
  for (const Target &target : targets.all) {
    const unsigned by_number = kFromEmptyPath | kToEmptyPath;
    if (syscall(kMoveMount, target.cover, "", target.fd, "", by_number) < 0) return fail(fault, "move_mount");
  }
  return true;
}

bool write_all(int fd, const std::string &text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t count = write(fd, text.data() + done, text.size() - done);
    if (count < 0) return false;
    done += static_cast<size_t>(count);
  }
  return true;
}

bool write_credential(int folder, const Credential &file, const Credentials &all, Fault *fault) {
  const int fd =
      openat(folder, file.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
  if (fd < 0) return fail(fault, "open " + file.name);
  const bool is_done =
      write_all(fd, file.contents) && fchmod(fd, 0400) == 0 && fchown(fd, all.uid, all.gid) == 0;
  const bool result = is_done || fail(fault, "write " + file.name);
  close(fd);
  return result;
}

// The folder last: until it is theirs, nobody but root gets in.
bool write_credentials(const Credentials &all, Fault *fault) {
  const int folder = open(all.folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0) return fail(fault, "open " + all.folder);
  bool is_done = true;
  for (const Credential &file : all.files) is_done = is_done && write_credential(folder, file, all, fault);
  if (is_done && (fchmod(folder, 0500) < 0 || fchown(folder, all.uid, all.gid) < 0))
    is_done = fail(fault, "chown " + all.folder);
  close(folder);
  return is_done;
}

// Room for them and no more. They stay out of the swap where the kernel can promise it (Linux 6.4).
bool mount_room(const Credentials &all, unsigned long flags) {
  size_t pages = 1;
  for (const Credential &file : all.files) pages += 1 + file.contents.size() / kPage;
  const std::string options = "mode=0700,size=" + std::to_string(pages * kPage) +
                              ",nr_inodes=" + std::to_string(all.files.size() + 2);
  const char *folder = all.folder.c_str();
  if (mount("tmpfs", folder, "tmpfs", flags, (options + ",noswap").c_str()) == 0) return true;
  return mount("tmpfs", folder, "tmpfs", flags, options.c_str()) == 0;
}

// What is mounted over the folder is there for who is in this namespace, and gone with it.
bool mount_credentials(const Credentials &all, Fault *fault) {
  const unsigned long flags = kQuiet | MS_NOEXEC;
  const char *folder = all.folder.c_str();
  if (mkdir(folder, 0755) < 0 && errno != EEXIST) return fail(fault, "mkdir " + all.folder);
  if (!mount_room(all, flags)) return fail(fault, "mount " + all.folder);
  if (!write_credentials(all, fault)) return false;
  const bool is_closed = mount(nullptr, folder, nullptr, MS_REMOUNT | MS_RDONLY | flags, nullptr) == 0;
  return is_closed || fail(fault, "mount " + all.folder);
}

bool hide(const std::vector<std::string> &paths, Fault *fault) {
  Targets targets;
  if (!open_targets(paths, &targets, fault)) return false;
  if (mount("tmpfs", kBench, "tmpfs", kQuiet, "mode=755,size=64k") < 0) return fail(fault, "mount");
  const bool is_made = make_covers(&targets, fault);
  if (umount2(kBench, MNT_DETACH) < 0 && is_made) return fail(fault, "umount");
  return is_made && lay_covers(targets, fault);
}

}  // namespace

bool make_mounts(const MountWishes &wishes, Fault *fault) {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) < 0) return fail(fault, "mount /");
  fault->stage = kOwnDevices;
  if (wishes.has_no_devices && !take_devices(fault)) return false;
  fault->stage = kOwnTmp;
  if (wishes.has_own_tmp && !mount_tmp(fault)) return false;
  fault->stage = kCredentials;
  if (!wishes.credentials.folder.empty() && !mount_credentials(wishes.credentials, fault)) return false;
  fault->stage = kPaths;
  if (!wishes.hidden.empty() && !hide(wishes.hidden, fault)) return false;
  fault->stage = kOwnProcesses;
  return !wishes.has_own_processes || mount_proc(fault);
}
