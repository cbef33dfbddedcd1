#!/usr/bin/env python3
"""greet: the one to copy from. Each client has a process of its own, of which stdin and stdout are the connection."""

import os
import sys

sys.stdout.reconfigure(line_buffering=True)  # a connection is no terminal: without this, lines wait for a full buffer
print('Hello, what is your name?')
for line in sys.stdin:  # ends when the client has left
    print('Pleased to meet you, %s.' % line.strip())

print('somebody at', os.environ.get('REMOTE_ADDR'), 'has left', file=sys.stderr)  # with stderr: log, to the log
