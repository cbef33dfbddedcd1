"""Hands a socket over as a super-server does under `wait`: waits until something is there, then starts one child with the
socket, and whatever is in its queue, on fd 0 and 1. Ends when the child does, with its exit status.

Usage:  handover.py KIND ADDRESS COMMAND...     KIND is tcp, udp or unix-dgram; prints the port, or 0
The child's stderr is ours, not the socket, so that a test sees what it complains about.
"""

import select
import socket
import subprocess
import sys

kind, address, *command = sys.argv[1:]
family = socket.AF_UNIX if kind == 'unix-dgram' else socket.AF_INET6 if ':' in address else socket.AF_INET
ours = socket.socket(family, socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM)
ours.bind(address if family == socket.AF_UNIX else (address, 0))
if kind == 'tcp':
    ours.listen()
print(0 if family == socket.AF_UNIX else ours.getsockname()[1], flush=True)

select.select([ours], [], [])
sys.exit(subprocess.call(command, stdin=ours, stdout=ours))
