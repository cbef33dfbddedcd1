"""A super-server in a few lines, so that the services can be tested on real connections and without stdiod.

Usage:  inetd.py ADDRESS COMMAND...     prints the port that it listens on, then serves until it is killed
"""

import os
import socket
import subprocess
import sys

address, *command = sys.argv[1:]
listener = socket.create_server((address, 0), family=socket.AF_INET6 if ':' in address else socket.AF_INET)
print(listener.getsockname()[1], flush=True)

while True:
    connection, client = listener.accept()
    with connection:
        server = connection.getsockname()
        facts = {
            'PROTO': 'TCP',
            'TCPREMOTEIP': client[0],
            'TCPREMOTEPORT': str(client[1]),
            'TCPLOCALIP': server[0],
            'TCPLOCALPORT': str(server[1]),
        }
        subprocess.Popen(command, stdin=connection, stdout=connection, stderr=connection, env=os.environ | facts)
