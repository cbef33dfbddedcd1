// Looks at a stopped program from outside. A clone shares what fork(2) shares, so a template must have
// nothing of which one session could notice another: no pipe, socket or event queue, no shared memory, no
// other process.
#include "obstacles.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "touch.h"

#define PATH_ROOM 64
#define LINE_ROOM 512
// /dev/null, zero, full, random, urandom.
#define MEMORY_DEVICES 1

int count_threads(pid_t pid) {
  char path[PATH_ROOM];
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *folder = opendir(path);
  if (folder == NULL) return 0;
  int count = 0;
  for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
    if (entry->d_name[0] != '.') ++count;
  }
  closedir(folder);
  return count;
}

// Whether a line of the file has these words in it.
static int has_line(pid_t pid, const char *file, int (*is_it)(const char *line)) {
  char path[PATH_ROOM], line[LINE_ROOM];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
  FILE *stream = fopen(path, "re");
  if (stream == NULL) return 0;
  int found = 0;
  while (!found && fgets(line, sizeof line, stream) != NULL) found = is_it(line);
  fclose(stream);
  return found;
}

// "ADDRESS rw-s …"
static int is_shared_memory(const char *line) {
  const char *rights = strchr(line, ' ');
  return rights != NULL && strlen(rights) > 4 && rights[2] == 'w' && rights[4] == 's';
}

static int is_timer(const char *line) {
  return strncmp(line, "ID:", 3) == 0;
}

static int is_own_control(const struct Order *order) {
  char path[PATH_ROOM];
  struct stat own, other;
  snprintf(path, sizeof path, "/proc/%d/fd/%d", order->pid, order->control);
  return fstat(order->control, &own) == 0 && stat(path, &other) == 0 && own.st_ino == other.st_ino &&
         own.st_dev == other.st_dev;
}

const char *find_obstacle(const struct Order *order) {
  if (!is_own_control(order)) return "it closes descriptors that it was started with";
  if (!order->is_template) return NULL;
  if (count_threads(order->pid) != 1) return "it has threads, which a template cannot have: use pool";
  if (has_line(order->pid, "maps", is_shared_memory))
    return "it has shared memory, which its sessions would share: use pool";
  if (has_line(order->pid, "timers", is_timer))
    return "it has timers, which its sessions would not have: use pool";
  return NULL;
}

static int read_number(pid_t pid, int fd, const char *name, int base, long *number) {
  char path[PATH_ROOM], line[LINE_ROOM];
  snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", pid, fd);
  FILE *stream = fopen(path, "re");
  if (stream == NULL) return 0;
  int found = 0;
  while (!found && fgets(line, sizeof line, stream) != NULL) {
    found = strncmp(line, name, strlen(name)) == 0;
    if (found) *number = strtol(line + strlen(name), NULL, base);
  }
  fclose(stream);
  return found;
}

// What was asked for when it was made is over: a clone opens what is there.
static int list_file(pid_t pid, int fd, struct Parked *parked) {
  long offset = 0, flags = 0;
  if (parked->reopened_count == MOST_REOPENED) return 0;
  if (!read_number(pid, fd, "pos:", 10, &offset) || !read_number(pid, fd, "flags:", 8, &flags)) return 0;
  struct Reopened *file = &parked->reopened[parked->reopened_count++];
  file->fd = fd;
  file->close_on_exec = flags & O_CLOEXEC;
  file->flags = (int)flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
  file->offset = offset;
  return 1;
}

static const char *look_at(const struct Order *order, int fd, struct Parked *parked) {
  char path[PATH_ROOM];
  struct stat facts;
  if (fd == order->control || is_placeholder(order->pid, fd, order->placeholder)) return NULL;
  snprintf(path, sizeof path, "/proc/%d/fd/%d", order->pid, fd);
  if (stat(path, &facts) < 0) return "its descriptors cannot be looked at";
  if (S_ISCHR(facts.st_mode) && major(facts.st_rdev) == MEMORY_DEVICES) return NULL;
  if (!S_ISREG(facts.st_mode) && !S_ISDIR(facts.st_mode))
    return "it holds a pipe, a socket or a queue of events, which its sessions would share: use pool";
  return list_file(order->pid, fd, parked) ? NULL : "it has too many files open: use pool";
}

const char *list_files(const struct Order *order, struct Parked *parked) {
  char path[PATH_ROOM];
  snprintf(path, sizeof path, "/proc/%d/fd", order->pid);
  DIR *folder = opendir(path);
  if (folder == NULL) return "its descriptors cannot be looked at";
  const char *obstacle = NULL;
  for (struct dirent *entry = readdir(folder); entry != NULL && obstacle == NULL; entry = readdir(folder)) {
    if (entry->d_name[0] != '.') obstacle = look_at(order, atoi(entry->d_name), parked);
  }
  closedir(folder);
  return obstacle;
}

void find_places(const struct Order *order, struct Parked *parked) {
  for (int fd = 0; fd < 3; ++fd) {
    long flags = 0;
    if (!is_placeholder(order->pid, fd, order->placeholder)) continue;
    parked->places |= 1 << fd;
    if (read_number(order->pid, fd, "flags:", 8, &flags) && (flags & O_CLOEXEC) != 0)
      parked->closing_places |= 1 << fd;
  }
}
