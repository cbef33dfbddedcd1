// whoami: tells a client its own address, the address that it asked for, and the family of both.
//
// stdin is the real connection, so Node makes a Socket of process.stdin, which asks the kernel: remoteAddress comes from
// getpeername, localAddress from getsockname.
//
// Try it:  node dist/services/whoami.js </dev/null     (no client: it says so)

const { remoteAddress, remotePort, localAddress, localPort, remoteFamily } = process.stdin;

if (remoteAddress === undefined) {
  console.error('whoami: stdin is not a connection from an Internet client');
  process.exitCode = 1;
} else {
  console.log(`client ${remoteAddress} port ${String(remotePort)}`);
  console.log(`server ${String(localAddress)} port ${String(localPort)}`);
  console.log(`family ${String(remoteFamily)}`);
}
