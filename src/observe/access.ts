import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { CarrickError } from '../errors.ts';

/** Port 0 takes a free one. */
export interface Listen {
  readonly host: string;
  readonly port: number;
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');

export function isLoopback(host: string): boolean {
  const family = isIP(host);
  if (family === 0) return host === 'localhost';
  return loopback.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

/**
 * Lets a call of the API pass or throws. Rows' values can be read through it and decisions taken:
 * - with a token, whoever holds it may call, and nobody else;
 * - without one, only a loopback listener answers, and only under a name that is this machine's.
 *   A page in a browser here may resolve its own name to 127.0.0.1 (DNS rebinding), but it cannot
 *   change the Host header, which then names the page's host and not an address or localhost.
 */
export function admit(request: IncomingMessage, listen: Listen, token: string | null): void {
  if (token !== null) {
    const given = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (sameText(given, token)) return;
    throw refused('http.token', 'this needs the bearer token of `api_token`', 'send the token');
  }
  if (!isLoopback(listen.host)) {
    throw refused(
      'http.no_token',
      'the listener can be reached from elsewhere and no token is configured',
      'set `api_token` in the configuration, or listen on 127.0.0.1',
    );
  }
  const named = hostOf(request.headers.host ?? '');
  if (isIP(named) === 0 && named !== 'localhost' && named !== listen.host) {
    throw refused(
      'http.host',
      'the request names another host',
      'use the IP address or localhost, or configure `api_token`',
    );
  }
}

const refused = (code: string, message: string, fix: string) =>
  new CarrickError(code, 'park', message, fix);

function hostOf(header: string): string {
  const found = /^(?:\[([^\]]+)\]|([^:]*))(?::\d+)?$/.exec(header);
  return (found?.[1] ?? found?.[2] ?? '').toLowerCase();
}

/** Takes the same time for every wrong guess. */
function sameText(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
