import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { CarrickError } from '../errors.ts';

/** Port 0 takes a free one. */
export interface Listen {
  readonly host: string;
  readonly port: number;
}

/** Lets a call of the API pass, through which rows are read and decisions taken, or throws. */
export function admit(request: IncomingMessage, token: string): void {
  const given = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
  if (sameText(given, token)) return;
  throw new CarrickError(
    'http.token',
    'park',
    'this needs the bearer token: `api_token`, or what the file beside the ledger says',
    "run the command with the daemon's own configuration, as the same user",
  );
}

/** Takes the same time for every wrong guess. */
function sameText(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
