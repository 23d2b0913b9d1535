import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { isLocal, type TransportWords } from '../../src/contract/transport.ts';

/** libpq's words ("SSL Support" in the PostgreSQL manual), in the URL or beside `host`. */
export const TLS_KEYS = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey'] as const;
export type TlsSettings = Partial<Record<(typeof TLS_KEYS)[number], string>>;

/** Those of libpq's that promise something: `prefer` and `allow` protect from nobody. */
export const MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const;

export const WORDS: TransportWords = {
  ca: 'sslrootcert',
  client: 'sslcert=/path/of/client.pem and sslkey=/path/of/key.pem',
  anyName: 'sslmode=verify-ca',
  off: 'sslmode=disable',
};

/** What is wrong with the settings, by key; a file is read to see that it can be. */
export function tlsFaults(settings: TlsSettings): { key: string; message: string }[] {
  const faults: { key: string; message: string }[] = [];
  const { sslmode, sslcert, sslkey } = settings;
  if (sslmode !== undefined && !MODES.some((mode) => mode === sslmode)) {
    faults.push({ key: 'sslmode', message: `sslmode is none of ${MODES.join(', ')}` });
  }
  if ((sslcert === undefined) !== (sslkey === undefined)) {
    faults.push({ key: 'sslcert', message: 'sslcert and sslkey go together' });
  }
  for (const key of TLS_KEYS) {
    const path = settings[key];
    if (key === 'sslmode' || path === undefined) continue;
    try {
      readFileSync(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      faults.push({ key, message: `the file of ${key} cannot be read (${code})` });
    }
  }
  return faults;
}

/** Undefined: not encrypted. */
export function tlsOptions(host: string, settings: TlsSettings): ConnectionOptions | undefined {
  const { sslmode: mode = isLocal(host) ? 'disable' : 'verify-full' } = settings;
  if (mode === 'disable') return undefined;
  const read = (path: string | undefined) =>
    path === undefined ? undefined : readFileSync(path, 'utf8');
  const { sslrootcert, sslcert, sslkey } = settings;
  return {
    rejectUnauthorized: mode !== 'require',
    ...(sslrootcert === undefined ? {} : { ca: read(sslrootcert) }),
    ...(sslcert === undefined ? {} : { cert: read(sslcert), key: read(sslkey) }),
    ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  };
}
