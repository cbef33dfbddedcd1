// To close what others have put something into, or hold too: it may wait in the kernel, so that the main
// thread has it done, and does not wait. The same for what is asked about processes of others.
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include <functional>
#include <vector>

// What holds up the one does not hold up the other. kFolder: what is done in folders of others. kProcess:
// what processes are asked. kConnection: what is asked about connections of children. kClient: what a client
// of a Unix socket has put something into, of which there may be more than there are threads.
enum class Kind { kSocket, kPipe, kFolder, kProcess, kConnection, kClient };
constexpr size_t kKinds = 6;

// False: the system has no thread for us.
bool start_closers(Kind kind);

// Runs `work` on another thread, sooner or later.
void run_later(std::function<void()> work, Kind kind = Kind::kSocket);

void close_later(int fd, Kind kind = Kind::kSocket);

// A socket that a program of this user has had.
struct Given {
  int fd;
  uid_t user;
};

// To wake a thread costs more than to close one.
void close_later(const std::vector<Given> &all);

// The same for what ends a connection to a Unix socket, which is counted until it has.
void end_later(int connection, std::function<void()> work);

// Whether those who come next should wait: of what came to this Unix socket too much is not closed yet, or of
// what this user's programs have had.
bool has_too_many_ending(int listener);
bool has_too_many_ending_of(uid_t user);
