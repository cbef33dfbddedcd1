#!/usr/bin/env python3
"""whoami: tells a client its own address, the address that it asked for, and the family of both.

stdin is the real connection, so the kernel knows the answer: getpeername is the client, getsockname is us.

Try it:  services/whoami.py </dev/null     (no client: it says so)
"""

import socket
import sys

FAMILIES = {socket.AF_INET: 'IPv4', socket.AF_INET6: 'IPv6'}
NUMBERS = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV  # never ask the DNS

try:
    connection = socket.socket(fileno=0)
    client, server = connection.getpeername(), connection.getsockname()
    family = FAMILIES[connection.family]
except (OSError, KeyError):
    sys.exit('whoami: stdin is not a connection from an Internet client')

print('client %s port %s' % socket.getnameinfo(client, NUMBERS))
print('server %s port %s' % socket.getnameinfo(server, NUMBERS))
print('family', family)
