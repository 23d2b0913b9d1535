/** A TCP proxy that stands between Carrick and a database and does what networks do to people. */
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What happens to the bytes of every connection, new ones included, until it is lifted. */
export type Trouble =
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'throttle'; readonly bytesPerSecond: number }
  /** Accepts, and passes nothing on; what was held back goes on its way when it is lifted. */
  | { readonly kind: 'black hole' };

export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  trouble(what: Trouble | null): void;
  /** Both ends of every connection see a reset. */
  cut(): void;
  /** One end of every connection is told that the other has no more to say; it may still talk. */
  halfClose(end: 'carrick' | 'server'): void;
}

interface Pair {
  readonly carrick: Socket;
  readonly server: Socket;
}

export async function openProxy(port: number, target: number): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  let now: Trouble | null = null;
  let lifted = Promise.withResolvers<void>();
  const pass = async (to: Socket, bytes: Buffer): Promise<void> => {
    while (now?.kind === 'black hole') await lifted.promise;
    if (now?.kind === 'delay') await sleep(now.ms);
    if (now?.kind === 'throttle') await sleep((1000 * bytes.length) / now.bytesPerSecond);
    if (to.writable && !to.write(bytes)) {
      await new Promise<void>((resolve) => {
        to.once('drain', resolve);
        to.once('close', resolve);
      });
    }
  };
  const pump = (from: Socket, to: Socket): void => {
    // One after another: whatever a chunk has to wait for, those behind it wait too.
    let last = Promise.resolve();
    from.on('data', (bytes: Buffer) => {
      from.pause();
      last = last.then(() => pass(to, bytes)).then(() => void from.resume());
    });
    from.on('end', () => {
      last = last.then(() => void to.end());
    });
  };
  const listener = createServer({ allowHalfOpen: true }, (carrick) => {
    const server = connect({ host: '127.0.0.1', port: target, allowHalfOpen: true });
    const pair = { carrick, server };
    pairs.add(pair);
    const end = (): void => {
      pairs.delete(pair);
      carrick.destroy();
      server.destroy();
    };
    for (const socket of [carrick, server]) {
      socket.setNoDelay(true);
      socket.on('error', end);
      socket.on('close', end);
    }
    pump(carrick, server);
    pump(server, carrick);
  });
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(port, '127.0.0.1', resolve);
  });
  const cut = (): void => {
    for (const { carrick, server } of pairs) {
      carrick.resetAndDestroy();
      server.resetAndDestroy();
    }
  };
  const trouble = (what: Trouble | null): void => {
    now = what;
    lifted.resolve();
    lifted = Promise.withResolvers();
  };
  return {
    port,
    trouble,
    cut,
    halfClose(end) {
      for (const pair of pairs) pair[end].end();
    },
    async [Symbol.asyncDispose]() {
      trouble(null);
      cut();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
