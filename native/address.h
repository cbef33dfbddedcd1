// Socket addresses of every family, between the kernel's form and text. Used by socket.cc and handover.cc.
#pragma once

#include <linux/vm_sockets.h>
#include <napi.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <string>

struct Address {
  explicit Address(sa_family_t family = AF_UNSPEC) : storage(), length(sizeof(sa_family_t)) {
    storage.ss_family = family;
  }
  union {
    sockaddr generic;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un local;
    sockaddr_vm vm;
    sockaddr_storage storage;
  };
  socklen_t length;
};

// The longest text: a path in the abstract namespace with its `@`.
constexpr size_t kAddressText = sizeof(sockaddr_un::sun_path) + 2;

// From {family, address, port} or {family, path}; false: not an address.
bool read_address(const Napi::Object &from, Address *address);

// Numeric text (a link-local IPv6 address keeps its interface), a path, `@name`, a context id; empty:
// nameless.
void write_text(const Address &address, char (&text)[kAddressText]);

// Listeners live from here up, so that a connection gets a low number and a child copies a short table
// (spawn.cc).
constexpr int kListenerBase = 1024;

// SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET, from "stream", "datagram" or "seqpacket".
int type_of(const std::string &name);

// 0 where the family has no ports.
int64_t port_of(const Address &address);
