#!/usr/bin/env python3
"""chat: a room where all clients meet. What one says, all others read.

One process serves everybody, because they share what it knows. stdiod hands it the socket that clients come to
(`wait: true`): over TCP it accepts them by itself, over UDP each source address is a member. It ends when the room has been
empty for a while, and stdiod starts it again for the next guest.

A member sends lines of text. /nick NAME takes another name, /who tells who is there, /quit leaves.

Usage:   chat.py [--idle SECONDS] [--silent SECONDS]
           --idle     how long an empty room stays open (60)
           --silent   over UDP, a member who sends nothing for so long has left (120); an empty datagram will do
Try it:  stdiod run -c config/chat.yaml, and then, on two terminals
         services/chat-client.py 127.0.0.1 7120          or with --udp

Source addresses of datagrams can be forged: whoever is named as the sender gets what the room says, until he has been
silent for too long. Over UDP, let this be reached only from a network that you trust.
"""

import argparse
import contextlib
import re
import selectors
import socket
import sys
import time

MEMBERS = 64  # at once; a further one is told that the room is full
LONGEST_LINE = 400  # characters; the rest of a line is cut off
MOST_UNREAD = 64 * 1024  # bytes that wait for a slow reader; then he is sent away
CHUNK = 64 * 1024  # bytes taken from a socket at once: any datagram, whole
BURST = 10  # lines that a member may send at once...
LINES_PER_SECOND = 5  # ...and from then on
FIRST_ORDINARY_PORT = 1024  # datagrams from lower ports come from a service, not from a person

NAME = re.compile(r'[A-Za-z0-9_-]{1,16}')
OUR_OWN_WORDS = re.compile(r'\* |<[A-Za-z0-9_-]{1,16}> ')  # how every line of ours begins


def printable(line):
    """Text of a stranger, made harmless for a terminal: what is not to be seen is shown as an escape, such as \\x1b."""
    text = line.decode('utf-8', 'replace').rstrip('\r')[:LONGEST_LINE]
    return ''.join(c if c.isprintable() else c.encode('unicode_escape').decode() for c in text)


class Member:
    """Somebody in the room. How a line gets to him is the business of a door, which sets `send` and `dismiss`."""

    def __init__(self, send, dismiss):
        self.send = send  # hands him a line
        self.dismiss = dismiss  # sees him out, after the room has forgotten him
        self.name = ''
        self.heard = time.monotonic()  # when he last sent anything
        self.allowance = BURST  # lines that he may send now
        self.warned = False  # he knows that he was too fast

    def is_there(self):
        """He has sent something. The allowance grows with the time since he did so before."""
        now = time.monotonic()
        self.allowance = min(BURST, self.allowance + (now - self.heard) * LINES_PER_SECOND)
        self.heard = now

    def may_speak(self):
        """Takes one line from the allowance, if that is left."""
        if self.allowance < 1:
            return False
        self.allowance -= 1
        self.warned = False
        return True


class Room:
    """Who is there, and what is said. It knows nothing of sockets."""

    def __init__(self):
        self.members = []  # in the order of their coming
        self.commands = {'/nick': self.rename, '/who': self.tell_who, '/quit': self.quit}

    def is_full(self):
        return len(self.members) >= MEMBERS

    def enter(self, member):
        member.name = self.free_name()
        self.members.append(member)
        member.send(f'* you are {member.name}; /nick NAME, /who, /quit')
        self.tell_others(member, f'* {member.name} is here')

    def leave(self, member):
        if member not in self.members:
            return
        self.members.remove(member)
        self.tell_others(member, f'* {member.name} has left')
        member.dismiss()

    def hear(self, member, line):
        """Does what a line of a member says. An empty one only says that he is still there."""
        text = printable(line)
        member.is_there()
        if not text:
            return None
        if not member.may_speak():
            return self.warn(member)
        if not text.startswith('/'):
            return self.tell_others(member, f'<{member.name}> {text}')
        word, _, rest = text.partition(' ')
        return self.commands.get(word, self.explain)(member, rest.strip())

    def warn(self, member):
        if not member.warned:
            member.send('* too fast: that was not heard')
        member.warned = True

    def explain(self, member, _):
        member.send('* the commands are /nick NAME, /who and /quit')

    def rename(self, member, name):
        if not NAME.fullmatch(name):
            return member.send('* a name is 1 to 16 letters, digits, - or _')
        if self.is_taken(name, member):
            return member.send(f'* {name} is taken')
        former, member.name = member.name, name
        member.send(f'* you are {name}')
        self.tell_others(member, f'* {former} is now {name}')

    def tell_who(self, member, _):
        member.send('* here: ' + ', '.join(one.name for one in self.members))

    def quit(self, member, _):
        member.send('* goodbye')
        self.leave(member)

    def tell_others(self, speaker, line):
        for member in list(self.members):  # a copy: one who cannot be reached leaves while we speak
            if member is not speaker:
                member.send(line)

    def is_taken(self, name, but_for=None):
        return any(one is not but_for and one.name.lower() == name.lower() for one in self.members)

    def free_name(self):
        """One of one more names than there are members is free."""
        names = (f'guest{number}' for number in range(1, len(self.members) + 2))
        return next(name for name in names if not self.is_taken(name))


class DatagramDoor:
    """Members over UDP (or Unix datagrams): whoever sends something is in, under his address."""

    def __init__(self, ours, room, silent_seconds):
        self.ours, self.room, self.silent_seconds = ours, room, silent_seconds
        self.members = {}  # by address

    def register(self, selector):
        selector.register(self.ours, selectors.EVENT_READ, self.on_readable)

    def on_readable(self, _):
        try:
            datagram, address = self.ours.recvfrom(CHUNK, socket.MSG_DONTWAIT)
        except OSError:
            return  # a line to somebody who is no longer there, or nothing at all
        if self.is_somebody(address) and not OUR_OWN_WORDS.match(datagram.decode('utf-8', 'replace')):
            self.on_datagram(address, datagram)

    def is_somebody(self, address):
        """A Unix socket without a name cannot be answered, and a service should not be: it might answer in turn."""
        return address if isinstance(address, (str, bytes)) else address and address[1] >= FIRST_ORDINARY_PORT

    def on_datagram(self, address, datagram):
        lines = datagram.rstrip(b'\r\n').split(b'\n')
        if address not in self.members and lines != [b'/quit']:
            self.admit(address)
        for line in lines:
            if address in self.members:
                self.room.hear(self.members[address], line)

    def admit(self, address):
        if self.room.is_full():
            return self.send(address, '* the room is full')
        member = Member(lambda line: self.send(address, line), lambda: self.members.pop(address))
        self.members[address] = member
        self.room.enter(member)

    def send(self, address, line):
        try:
            self.ours.sendto(f'{line}\n'.encode(), socket.MSG_DONTWAIT, address)
        except OSError:
            pass  # lost, as any datagram may be

    def tick(self):
        """Sees out who has been silent for too long."""
        latest = time.monotonic() - self.silent_seconds
        for member in [one for one in self.members.values() if one.heard < latest]:
            self.room.leave(member)


class StreamDoor:
    """Members over TCP (or Unix streams): each has a connection, which we accept."""

    def __init__(self, listener, room):
        self.listener, self.room = listener, room

    def register(self, selector):
        self.selector = selector
        selector.register(self.listener, selectors.EVENT_READ, self.on_connection)

    def on_connection(self, _):
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return  # he has gone again, or there is no room in this process: he stays in the queue
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # notices, in time, who vanished
        guest = Connection(connection, self.room, self.selector)
        if self.room.is_full():
            guest.send('* the room is full')
            return guest.dismiss()
        self.room.enter(guest.member)

    def tick(self):
        """There is nothing to be done: a connection tells when it ends."""


class Connection:
    """One member's connection: lines in, lines out, and no waiting for either."""

    def __init__(self, connection, room, selector):
        self.connection, self.room, self.selector = connection, room, selector
        self.member = Member(self.send, self.dismiss)
        self.incoming = b''  # a line that has not ended yet
        self.outgoing = b''  # what the client has not taken yet
        self.closed = False
        selector.register(connection, selectors.EVENT_READ, self.on_ready)

    def on_ready(self, events):
        if events & selectors.EVENT_WRITE and not self.closed:
            self.flush()
        if events & selectors.EVENT_READ and not self.closed:
            self.receive()

    def receive(self):
        try:
            chunk = self.connection.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            chunk = b''  # lost on the way, which is an end as well
        *lines, self.incoming = (self.incoming + chunk).split(b'\n')
        self.incoming = self.incoming[: 4 * LONGEST_LINE]  # UTF-8 takes up to four bytes for a character
        for line in lines:
            if not self.closed:
                self.room.hear(self.member, line)
        if not chunk:
            self.room.leave(self.member)

    def send(self, line):
        if self.closed:
            return
        self.outgoing += f'{line}\n'.encode()
        self.flush()
        if len(self.outgoing) > MOST_UNREAD:
            self.room.leave(self.member)

    def flush(self):
        try:
            while self.outgoing:
                self.outgoing = self.outgoing[self.connection.send(self.outgoing) :]
        except BlockingIOError:
            pass
        except OSError:
            self.outgoing = b''  # nobody takes it any more; reading will tell that he has gone
        writing = selectors.EVENT_WRITE if self.outgoing else 0
        self.selector.modify(self.connection, selectors.EVENT_READ | writing, self.on_ready)

    def dismiss(self):
        """Closes the connection. What lies there unread would make the kernel reset it, and our last words be lost."""
        self.closed = True
        self.selector.unregister(self.connection)
        with self.connection, contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.recv(CHUNK)


def parse_options():
    parser = argparse.ArgumentParser(prog='chat', description='A room where all clients meet.')
    parser.add_argument('--idle', type=float, default=60, metavar='SECONDS', help='how long an empty room stays open')
    parser.add_argument('--silent', type=float, default=120, metavar='SECONDS', help='over UDP, when a member has left')
    return parser.parse_args()


def open_door(room, silent_seconds):
    """The door that suits the socket on stdin, or None."""
    try:
        ours = socket.socket(fileno=0)
        accepts = ours.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        return None
    if ours.type == socket.SOCK_DGRAM:
        return DatagramDoor(ours, room, silent_seconds)
    return StreamDoor(ours, room) if accepts else None


def serve(door, room, idle_seconds, longest_sleep):
    with selectors.DefaultSelector() as selector:
        door.register(selector)
        busy = time.monotonic()  # when somebody was last there
        while room.members or time.monotonic() - busy < idle_seconds:
            for key, events in selector.select(longest_sleep):
                key.data(events)
            door.tick()
            if room.members:
                busy = time.monotonic()


def main():
    options = parse_options()
    room = Room()
    door = open_door(room, options.silent)
    if door is None:
        sys.exit('chat: stdin is neither a listening socket nor one for datagrams; the service needs "wait: true"')
    serve(door, room, options.idle, min(1, options.idle, options.silent))


if __name__ == '__main__':
    main()
