// In place of park on processors that it does not know: says so, and the service runs cold.
#include <string.h>
#include <sys/socket.h>

int main(void) {
  const char *reason = "cold this processor is not one that park knows: x86-64";
  send(3, reason, strlen(reason), MSG_NOSIGNAL);
  return 1;
}
