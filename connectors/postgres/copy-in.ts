import type { Client, Submittable } from 'pg';

/** What pg's connection has beside its types; pg's own queries use it for COPY as well. */
interface CopyConnection {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  sendCopyFail(reason: string): void;
  endCopyFrom(): void;
}

/**
 * `COPY … FROM STDIN` (PostgreSQL manual, "Frontend/Backend Protocol, COPY Operations"). `data` is
 * asked for when the server is ready for it, and sent piece by piece: the server reads one while
 * the next is made. A server that refuses a row throws the rest away by itself.
 */
export function copyIn(client: Client, text: string, data: Iterable<Buffer>): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let failure: unknown;
  const query = {
    // The client puts its timeout around this.
    callback: (error: unknown) => (error === null ? resolve() : reject(error)),
    submit: (connection: unknown) => (connection as CopyConnection).query(text),
    handleCopyInResponse(connection: CopyConnection) {
      try {
        for (const piece of data) connection.sendCopyFromChunk(piece);
        connection.endCopyFrom();
      } catch (error) {
        // Thrown on, it would end the process.
        failure = error;
        connection.sendCopyFail('the data cannot be spelled');
      }
    },
    handleCommandComplete: () => {},
    handleReadyForQuery: () => query.callback(null),
    handleError: (error: unknown) => query.callback(failure ?? error),
  };
  client.query<Submittable>(query);
  return promise;
}
