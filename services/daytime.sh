#!/bin/sh
# daytime: says what day and time it is, on one line, in the form that RFC 867 suggests. It reads nothing.
#
# Try it:  services/daytime.sh

LC_ALL=C # English names, whatever the language of the machine
export LC_ALL

carriage_return=$(printf '\r') # a line of an Internet protocol ends with CR LF; date adds the LF
exec date "+%A, %B %d, %Y %H:%M:%S-%Z$carriage_return"
