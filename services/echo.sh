#!/bin/sh
# echo: sends back whatever it receives, until the client stops sending.
#
# A service reads stdin and writes stdout; stdiod has made both of them the client's connection. So any program that
# filters its input is a service already, and the whole of this one is cat.
#
# Try it:  echo hello | services/echo.sh

exec cat
