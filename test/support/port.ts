import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const LOWEST = 10_000;

/**
 * A TCP port of 127.0.0.1 that is free now and stays ours while a server restarts. It lies below
 * the range from which the kernel takes ports for outgoing connections: there, a client that keeps
 * reconnecting to a stopped server can take that server's port, or even connect to itself.
 */
export async function freePort(): Promise<number> {
  const limit = outgoingPortsStart();
  for (;;) {
    const wanted = limit > LOWEST + 1000 ? randomInt(LOWEST, limit) : 0;
    const port = await bind(wanted);
    if (port !== undefined) return port;
  }
}

function outgoingPortsStart(): number {
  try {
    const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
    return Number(range.split(/\s+/)[0]);
  } catch {
    return 0;
  }
}

/** The port that was bound for a moment, or undefined if somebody holds it. */
function bind(wanted: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    probe.listen(wanted, '127.0.0.1', () => {
      const address = probe.address();
      const port = typeof address === 'object' ? address?.port : undefined;
      probe.close(() => resolve(port));
    });
  });
}
