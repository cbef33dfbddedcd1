#!/usr/bin/env python3
"""udp-echo: sends every datagram back to where it came from, and ends when none has come for a while.

The smallest service over UDP. There are no connections, so one process answers everybody: stdiod hands it the socket, with
the first datagram still in it (`wait: true`), leaves the socket alone as long as the process lives, and looks after it
again when it has ended. `builtin: echo` does the same in C, and knows more tricks of those who forge addresses.

Usage:   udp-echo.py [SECONDS]     SECONDS without a datagram, and it ends (30)
Try it:  stdiod run -c config/chat.yaml, and then  echo hello | nc -u -w 1 127.0.0.1 7121
"""

import select
import socket
import sys

LARGEST = 65536  # bytes: no datagram of UDP is larger
FIRST_ORDINARY_PORT = 1024  # below it are services; an echo to another echo would never come to an end


def serve(idle_seconds):
    ours = socket.socket(fileno=0)
    while select.select([ours], [], [], idle_seconds)[0]:
        try:
            datagram, sender = ours.recvfrom(LARGEST, socket.MSG_DONTWAIT)
            if sender[1] >= FIRST_ORDINARY_PORT and sender[1] != ours.getsockname()[1]:
                ours.sendto(datagram, socket.MSG_DONTWAIT, sender)
        except OSError:
            continue  # one datagram is lost, as any may be; the next one has another sender


try:
    serve(float(sys.argv[1]) if len(sys.argv) > 1 else 30)
except (OSError, ValueError) as problem:
    sys.exit(f'udp-echo: {problem}')
