#!/bin/sh
# Whether a process has a socket that clients can reach: scripts/listens.sh PID. It reads what the kernel knows and connects to
# nothing, so it starts no program and leaves no line in the log. Sockets of vsock are not listed there.
set -eu
process=/proc/$1
net=$process/net
[ -d "$process" ] || { echo "there is no process $1" >&2; exit 1; }
{
  ls -l "$process/fd" | sed -n 's/.*socket:\[\([0-9]*\)\]$/ours \1/p'
  sed 's/^/ip /' "$net/tcp" "$net/tcp6" "$net/udp" "$net/udp6" 2>/dev/null || true
  sed 's/^/unix /' "$net/unix"
} | awk '
  $1 == "ours" { ours[$2] = 1 }
  # 0A: a TCP socket listens; 07: a UDP socket is bound.
  $1 == "ip" && ($5 == "0A" || $5 == "07") && $11 in ours { found = 1 }
  # 00010000: it listens; 0002: datagrams, and then it has to have a name.
  $1 == "unix" && ($5 == "00010000" || ($6 == "0002" && NF > 8)) && $8 in ours { found = 1 }
  END { exit !found }
'
