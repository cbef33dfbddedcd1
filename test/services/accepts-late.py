"""Listens with a queue that is full, so that who connects gets no answer. A line on stdin lets one in, whose bytes are sent
back to it. Prints the port.

Usage:  accepts-late.py
"""

import socket
import sys

listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen(0)
first = socket.create_connection(listener.getsockname())
print(listener.getsockname()[1], flush=True)

sys.stdin.readline()
listener.accept()
connection, _ = listener.accept()
while data := connection.recv(65536):
    connection.sendall(data)
