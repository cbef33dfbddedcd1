// What comes along with a message.
#pragma once

#include <sys/socket.h>

// Closes the descriptors that recvmsg(2) has installed here, if any; returns whether there were any. Of a
// message that was only peeked at the queue has them still, so that this waits for nobody.
bool close_descriptors(msghdr *message);
