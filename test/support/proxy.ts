import { connect, createServer, type Socket } from 'node:net';

/** One address before servers that take over from one another, as a name or a balancer is. */
export interface Proxy extends AsyncDisposable {
  /** The URL of a server with this address in its place. */
  urlOf(url: string): string;
  /** New connections go to this port; those that are open end. */
  aim(port: number): void;
}

export async function startProxy(port: number): Promise<Proxy> {
  let target = port;
  const open = new Set<Socket>();
  const cut = (): void => {
    for (const socket of open) socket.destroy();
  };
  const keep = (socket: Socket, other: Socket): void => {
    open.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      open.delete(socket);
      other.destroy();
    });
  };
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    keep(client, upstream);
    keep(upstream, client);
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  const own = typeof address === 'object' ? String(address?.port) : '';
  return {
    urlOf(url) {
      const moved = new URL(url);
      moved.port = own;
      return moved.href;
    },
    aim(next) {
      target = next;
      cut();
    },
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((done) => server.close(done));
    },
  };
}
