#!/usr/bin/env python3
r"""httpd: reads one HTTP request, answers it with a file from a folder, and ends.

The classic among web servers: every connection has a process of its own, so a client that is slow, or hostile, or that
crashes this program keeps nobody else waiting. It knows GET and HEAD and says `Connection: close`.

Usage:   httpd.py FOLDER [SECONDS]     SECONDS is how long a client may take to send its request (10)
Try it:  printf 'GET /hello.txt HTTP/1.0\r\n\r\n' | services/httpd.py services/www
"""

import os
import signal
import socket
import stat
import string
import sys
import time

MAX_LINE = 8 * 1024  # bytes of the request line
MAX_HEADERS = 32 * 1024  # bytes of all header lines
CHUNK = 64 * 1024  # bytes of a file that are in memory at once
STALL_SECONDS = 30  # a client that takes no chunk for so long is given up
FAREWELL_SECONDS = 2  # how long we listen on after the response

REASONS = {
    200: 'OK',
    301: 'Moved Permanently',
    400: 'Bad Request',
    403: 'Forbidden',
    404: 'Not Found',
    405: 'Method Not Allowed',
    408: 'Request Timeout',
    414: 'URI Too Long',
    431: 'Request Header Fields Too Large',
    501: 'Not Implemented',
    505: 'HTTP Version Not Supported',
}
KNOWN_METHODS = {'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'}
TOKEN = set(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")  # RFC 9110, section 5.6.2
CONTENT_TYPES = {
    '.css': 'text/css; charset=utf-8',
    '.gif': 'image/gif',
    '.html': 'text/html; charset=utf-8',
    '.ico': 'image/x-icon',
    '.jpg': 'image/jpeg',
    '.js': 'text/javascript; charset=utf-8',
    '.json': 'application/json',
    '.pdf': 'application/pdf',
    '.png': 'image/png',
    '.svg': 'image/svg+xml',
    '.txt': 'text/plain; charset=utf-8',
}


class Refusal(Exception):
    """The request gets this status in place of a file."""

    def __init__(self, status, headers=None):
        super().__init__(status)
        self.status = status
        self.headers = headers or {}


def main(folder, seconds):
    signal.signal(signal.SIGALRM, on_alarm)
    wants_body = True
    try:
        signal.alarm(seconds)
        method, target = read_request(sys.stdin.buffer)
        signal.alarm(0)
        wants_body = method != 'HEAD'
        check_method(method)
        send_file(*open_file(folder, target), wants_body)
    except EOFError:
        return  # connected, sent nothing, left
    except Refusal as refusal:
        send_refusal(refusal, wants_body)
    except TimeoutError:
        send_refusal(Refusal(408), wants_body)
    part()


def on_alarm(_signal, _frame):
    raise TimeoutError


# The request


def read_request(stream):
    """Reads up to the empty line that ends the headers. Returns the method and the target."""
    line = read_line(stream, MAX_LINE, 414)
    if not line:
        raise EOFError
    words = text_of(line).split(' ')
    if len(words) != 3 or not TOKEN.issuperset(words[0]):
        raise Refusal(400)
    method, target, version = words
    check_version(version)
    check_host(version, read_headers(stream))
    return method, target


def read_line(stream, limit, status_if_longer):
    line = stream.readline(limit + 1)
    if len(line) > limit:
        raise Refusal(status_if_longer)
    if line and not line.endswith(b'\n'):
        raise Refusal(400)  # the client stopped sending in the middle of a line
    return line


def text_of(line):
    """The line without its end. Only printable ASCII and tabs may stand in it."""
    text = line.decode('latin-1').rstrip('\n').removesuffix('\r')
    if any(character < ' ' and character != '\t' or character == '\x7f' for character in text):
        raise Refusal(400)
    return text


def read_headers(stream):
    """Returns (lower-case name, value) pairs."""
    headers = []
    left = MAX_HEADERS
    while line := read_line(stream, left, 431):
        left -= len(line)
        text = text_of(line)
        if not text:
            return headers
        name, colon, value = text.partition(':')
        if not colon or not name or not TOKEN.issuperset(name):
            raise Refusal(400)
        headers.append((name.lower(), value.strip()))
    raise Refusal(400)  # the client stopped sending before the empty line


def check_version(version):
    name, _, number = version.partition('/')
    if name != 'HTTP' or len(number) != 3 or number[1] != '.' or not (number[0] + number[2]).isdecimal():
        raise Refusal(400)
    if number[0] != '1':
        raise Refusal(505)


def check_host(version, headers):
    """HTTP/1.1 asks for exactly one Host, and for 400 otherwise (RFC 9112, section 3.2)."""
    hosts = [value for name, value in headers if name == 'host']
    if len(hosts) > 1 or (not hosts and version != 'HTTP/1.0'):
        raise Refusal(400)


def check_method(method):
    if method not in KNOWN_METHODS:
        raise Refusal(501)
    if method not in ('GET', 'HEAD'):
        raise Refusal(405, {'Allow': 'GET, HEAD'})


# The file


def open_file(folder, target):
    """Opens the regular file that the target names. Returns it with its Content-Type."""
    names = parse_target(target)
    folder = os.path.realpath(folder)
    # Symbolic links are followed first and judged by where they lead; the open then refuses to follow any.
    path = os.path.realpath(os.path.join(folder, *names))
    if os.path.commonpath([folder, path]) != folder:
        raise Refusal(404)
    try:
        # O_NONBLOCK: opening a named pipe must not wait for its writer.
        file = open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), 'rb')
    except IsADirectoryError:
        raise Refusal(301, {'Location': with_slash(target)}) from None
    except PermissionError:
        raise Refusal(403) from None
    except OSError:
        raise Refusal(404) from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        raise Refusal(404)
    extension = os.path.splitext(names[-1])[1].lower()
    return file, CONTENT_TYPES.get(extension, 'application/octet-stream')


def parse_target(target):
    """The names on the way from the folder to the file. A folder stands for the index.html in it."""
    path = path_of(target)
    names = [decode(name) for name in path.split('/') if name]
    if any('/' in name or '\0' in name for name in names):
        raise Refusal(400)
    # Hidden files stay hidden. That takes care of "." and ".." too, however they were encoded.
    if any(name.startswith('.') for name in names):
        raise Refusal(404)
    return names + ['index.html'] if path.endswith('/') else names


def path_of(target):
    """`/path?query` or, as sent to a proxy, `http://host/path?query`."""
    path = target.partition('?')[0]
    if path.lower().startswith('http://'):
        path = '/' + path[len('http://') :].partition('/')[2]
    if not path.startswith('/') or not target.isascii() or not target.isprintable():
        raise Refusal(400)
    return path


def decode(name):
    """Undoes percent-encoding. The result is a file name as Python writes it, whatever bytes are in it."""
    first, *others = name.split('%')
    try:
        octets = [bytes.fromhex(other[:2].ljust(2, '?')) + other[2:].encode() for other in others]
    except ValueError:
        raise Refusal(400) from None
    return os.fsdecode(first.encode() + b''.join(octets))


def with_slash(target):
    """Where the folder is. One slash in front: `//host` would send the client to another server."""
    query = ''.join(target.partition('?')[1:])
    return '/' + path_of(target).strip('/') + '/' + query


# The response


def send_file(file, content_type, wants_body):
    status = os.fstat(file.fileno())
    left = status.st_size
    modified = http_date(min(status.st_mtime, time.time()))
    send_head(200, {'Content-Type': content_type, 'Content-Length': left, 'Last-Modified': modified})
    # Never more than was promised, should the file grow meanwhile.
    while wants_body and left > 0 and (chunk := file.read(min(left, CHUNK))):
        send(chunk)
        left -= len(chunk)


def send_refusal(refusal, wants_body):
    body = f'{refusal.status} {REASONS[refusal.status]}\n'.encode()
    content = {'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': len(body)}
    send_head(refusal.status, content | refusal.headers)
    if wants_body:
        send(body)


def send_head(status, headers):
    lines = [f'HTTP/1.1 {status} {REASONS[status]}', f'Date: {http_date(time.time())}']
    lines += [f'{name}: {value}' for name, value in headers.items()]
    lines += ['Connection: close', '', '']
    send('\r\n'.join(lines).encode())


def http_date(seconds):
    return time.strftime('%a, %d %b %Y %H:%M:%S GMT', time.gmtime(seconds))


def send(data):
    """Writes everything, or raises OSError. Unbuffered, so that the exit has nothing left to flush, and to wait for."""
    rest = memoryview(data)
    while rest:
        signal.alarm(STALL_SECONDS)
        rest = rest[os.write(1, rest) :]


def part():
    """Takes leave of the client: says that no more will come, then reads what it may still be sending.

    A socket that is closed with something unread sends a reset, which may destroy the response on its way.
    """
    try:
        connection = socket.socket(fileno=os.dup(0))
    except OSError:
        return  # a pipe or a terminal: nothing to do
    with connection:
        signal.alarm(FAREWELL_SECONDS)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(CHUNK):
            pass


if __name__ == '__main__':
    if len(sys.argv) not in (2, 3):
        sys.exit('usage: httpd.py FOLDER [SECONDS]')
    try:
        main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 10)
    except OSError:
        pass  # the client is gone or takes nothing: the end of this process is answer enough
