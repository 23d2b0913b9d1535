/** Certificates for servers and clients, made by openssl and gone with the run. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from './process.ts';
import { scratchFolder } from './run.ts';

export const OPENSSL = '/usr/bin/openssl';

export interface Certificate {
  /** PEM files, readable by the account that servers run as. */
  readonly cert: string;
  readonly key: string;
}

export interface Authority {
  /** Its own certificate, PEM. */
  readonly ca: string;
  /** `names` as openssl wants them: `DNS:db.example`, `IP:127.0.0.1`. */
  issue(names: string, options?: { readonly expired?: boolean }): Promise<Certificate>;
}

export async function makeAuthority(): Promise<Authority> {
  const folder = await scratchFolder('authority');
  const openssl = (...args: string[]) => runTool([OPENSSL, ...args], folder);
  const ca = join(folder, 'ca.pem');
  const caKey = join(folder, 'ca-key.pem');
  await openssl(
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-subj', '/CN=Authority', '-days', '2', '-keyout', caKey, '-out', ca],
  );
  let issued = 0;
  return {
    ca,
    async issue(names, { expired = false } = {}) {
      const [cert, key, request, extensions] = ['.pem', '-key.pem', '.csr', '.ext'].map((end) =>
        join(folder, `${issued}${end}`),
      ) as [string, string, string, string];
      issued++;
      await writeFile(extensions, `subjectAltName=${names}\n`, { mode: 0o644 });
      await openssl(
        ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
        ...['-subj', '/CN=carrick', '-keyout', key, '-out', request],
      );
      await openssl(
        ...['x509', '-req', '-in', request, '-CA', ca, '-CAkey', caKey, '-CAcreateserial'],
        ...['-days', expired ? '-1' : '2', '-extfile', extensions, '-out', cert],
      );
      return { cert, key };
    },
  };
}
