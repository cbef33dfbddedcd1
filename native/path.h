// Folders and files of others. Used by path.cc and socket.cc.
#pragma once

#include <stdint.h>
#include <sys/stat.h>

#include <string>

// For `run_in_folder`.
uint64_t place_of(const std::string &folder);

// `/run/x.sock` → `/run`, `/x.sock` → `/`.
std::string folder_of(const std::string &path);

// Removes what is called so in this folder while it is that file. 0, or -1 and errno.
int remove_if_same(int folder, const std::string &name, dev_t device, ino_t inode);

// The file that a Unix socket is bound to, as open(2) with O_PATH gives it, wherever that file is by now. -1:
// errno; EPERM: the kernel tells nobody without CAP_NET_ADMIN.
int file_of_socket(int socket);
