#!/bin/sh
# whoami: tells a client its own address, the address that it asked for, and the family of both.
#
# A shell cannot ask the kernel about a socket. It need not: stdiod puts the same facts into the environment.
#
# Try it:  PROTO=TCP TCPREMOTEIP=192.0.2.1 TCPREMOTEPORT=5000 TCPLOCALIP=192.0.2.2 TCPLOCALPORT=7005 services/whoami.sh

if [ "$PROTO" != TCP ] || [ -z "$TCPREMOTEIP" ]; then
  echo 'whoami: stdin is not a connection from an Internet client' >&2
  exit 1
fi

case $TCPREMOTEIP in
  *:*) family=IPv6 ;;
  *) family=IPv4 ;;
esac

echo "client $TCPREMOTEIP port $TCPREMOTEPORT"
echo "server $TCPLOCALIP port $TCPLOCALPORT"
echo "family $family"
