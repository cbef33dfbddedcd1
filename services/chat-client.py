#!/usr/bin/env python3
"""chat-client: a terminal for chat.py. It sends the lines that you type, and shows what the others say.

Usage:   chat-client.py HOST PORT [--udp] [--nick NAME]
Try it:  services/chat-client.py 127.0.0.1 7120 --nick ada      end with /quit or Ctrl-D
"""

import argparse
import os
import select
import socket
import sys
import time

STILL_HERE_SECONDS = 30  # over UDP: how often an empty datagram says so
FAREWELL_SECONDS = 1  # how long to wait for the last words
CHUNK = 65536
LONGEST_LINE = 4096  # bytes of a line without an end that are kept


class Lines:
    """Cuts what comes from a descriptor into lines."""

    def __init__(self):
        self.unfinished = b''

    def feed(self, chunk):
        *lines, self.unfinished = (self.unfinished + chunk).split(b'\n')
        self.unfinished = self.unfinished[:LONGEST_LINE]
        return lines

    def rest(self):
        return [self.unfinished] if self.unfinished else []


def show(line):
    """A server is a stranger as well: nothing that it says may control the terminal."""
    text = line.decode('utf-8', 'replace')
    print(''.join(c if c.isprintable() else c.encode('unicode_escape').decode() for c in text), flush=True)


def talk(server, over_udp):
    """Until the server has gone, or we have: then a moment for its last words."""
    typed, heard = Lines(), Lines()
    sources, leave_at = [server, 0], None
    while leave_at is None or time.monotonic() < leave_at:
        ready = select.select(sources, [], [], STILL_HERE_SECONDS if leave_at is None else FAREWELL_SECONDS)[0]
        if not ready and over_udp and leave_at is None:
            server.send(b'')
        if server in ready and not listen(server, heard):
            return
        if 0 in ready and not speak(server, typed):
            sources, leave_at = [server], time.monotonic() + FAREWELL_SECONDS


def listen(server, heard):
    """Returns false when that was the last of it."""
    chunk = server.recv(CHUNK)
    lines = heard.feed(chunk)
    for line in lines:
        show(line)
    return bool(chunk) and b'* goodbye' not in lines


def speak(server, typed):
    """Returns false when that was the last of it."""
    chunk = os.read(0, CHUNK)
    lines = typed.feed(chunk) if chunk else [*typed.rest(), b'/quit']
    for line in lines:
        server.sendall(line + b'\n')
    return bool(chunk)


def connect(host, port, over_udp):
    kind = socket.SOCK_DGRAM if over_udp else socket.SOCK_STREAM
    for family, _, protocol, _, address in socket.getaddrinfo(host, port, type=kind):
        server = socket.socket(family, kind, protocol)
        try:
            server.connect(address)
            return server
        except OSError as error:
            problem = error
            server.close()
    raise problem


def main():
    parser = argparse.ArgumentParser(prog='chat-client', description='A terminal for chat.py.')
    parser.add_argument('host', metavar='HOST')
    parser.add_argument('port', metavar='PORT')
    parser.add_argument('--udp', action='store_true', help='datagrams, not a connection')
    parser.add_argument('--nick', metavar='NAME', help='the name that the others see')
    options = parser.parse_args()
    try:
        with connect(options.host, options.port, options.udp) as server:
            if options.udp:
                server.send(b'')  # over UDP nobody knows of us before we have sent something
            if options.nick:
                server.sendall(f'/nick {options.nick}\n'.encode())
            talk(server, options.udp)
    except OSError as problem:
        sys.exit(f'chat-client: {options.host} port {options.port}: {problem.strerror}')
    except KeyboardInterrupt:
        pass


main()
