import { readFileSync } from 'node:fs';
import { connect, isIP } from 'node:net';
import type { ConnectionOptions } from 'mysql2';
import { z } from 'zod';
import type { ParsedOptions } from '../../src/contract/connector.ts';
import { optionProblems } from '../../src/contract/options.ts';
import { isLocal, type TransportWords } from '../../src/contract/transport.ts';

/** Where the server is and as whom to log in; `database` is where unqualified tables live. */
export interface MysqlOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Default VERIFY_IDENTITY, and DISABLED for a host of this machine. */
  readonly sslMode?: SslMode;
  /** PEM files: the authorities of server certificates, our own certificate and its key. */
  readonly sslCa?: string;
  readonly sslCert?: string;
  readonly sslKey?: string;
}

const DEFAULT_PORT = 3306;

/** "Command Options for Encrypted Connections" in the MySQL manual. */
const SSL_MODES = ['DISABLED', 'REQUIRED', 'VERIFY_CA', 'VERIFY_IDENTITY'] as const;
type SslMode = (typeof SSL_MODES)[number];

const Url = z
  .string()
  .regex(/^(mysql|mariadb):\/\/./, 'expected mysql://user:password@host:port/database')
  .describe('mysql://user:password@host:port/database?ssl-ca=/path/of/ca.pem, or mariadb://…');

const Separate = z.strictObject({
  host: z.string().min(1).default('localhost'),
  port: z.int().min(1).max(65535).default(DEFAULT_PORT),
  user: z.string().min(1),
  password: z.string().default(''),
  database: z.string().min(1).describe('Where tables named without a database live'),
  'ssl-mode': z
    .string()
    .optional()
    .describe('Default VERIFY_IDENTITY, and DISABLED for a host of this machine'),
  'ssl-ca': z.string().optional().describe('Authorities of the server, PEM'),
  'ssl-cert': z.string().optional().describe('Certificate of Carrick, PEM'),
  'ssl-key': z.string().optional().describe('Its key, PEM'),
});

const WithUrl = z.strictObject({ url: Url });

const OPTIONS = ['url', ...Object.keys(Separate.shape)];

export const optionsSchema = z.toJSONSchema(z.union([WithUrl, Separate]), { io: 'input' });

export function parseOptions(options: unknown): ParsedOptions {
  const byUrl = typeof options === 'object' && options !== null && 'url' in options;
  const parsed = byUrl ? WithUrl.safeParse(options) : Separate.safeParse(options);
  if (!parsed.success) {
    return { ok: false, problems: optionProblems(parsed.error.issues, options, OPTIONS) };
  }
  if ('url' in parsed.data) return fromUrl(parsed.data.url);
  const { 'ssl-mode': mode, 'ssl-ca': ca, 'ssl-cert': cert, 'ssl-key': key } = parsed.data;
  const { host, port, user, password, database } = parsed.data;
  return withTls({ host, port, user, password, database }, { mode, ca, cert, key }, null);
}

type Given = string | undefined;

/** Where all is in the URL, faults are the URL's. */
function withTls(
  options: MysqlOptions,
  { mode, ca, cert, key }: { mode: Given; ca: Given; cert: Given; key: Given },
  at: 'url' | null,
): ParsedOptions {
  const sslMode = SSL_MODES.find((name) => name === mode?.toUpperCase());
  const problems: { path: string[]; message: string }[] = [];
  const fault = (name: string, message: string) => problems.push({ path: [at ?? name], message });
  if (mode !== undefined && sslMode === undefined) {
    fault('ssl-mode', `ssl-mode is none of ${SSL_MODES.join(', ')}`);
  }
  if ((cert === undefined) !== (key === undefined)) {
    fault('ssl-cert', 'ssl-cert and ssl-key go together');
  }
  for (const [name, path] of Object.entries({ 'ssl-ca': ca, 'ssl-cert': cert, 'ssl-key': key })) {
    if (path === undefined) continue;
    try {
      readFileSync(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      fault(name, `the file of ${name} cannot be read (${code})`);
    }
  }
  if (problems.length > 0) return { ok: false, problems };
  const tls = {
    ...(sslMode === undefined ? {} : { sslMode }),
    ...(ca === undefined ? {} : { sslCa: ca }),
    ...(cert === undefined ? {} : { sslCert: cert }),
    ...(key === undefined ? {} : { sslKey: key }),
  };
  return { ok: true, options: { ...options, ...tls } };
}

/** Undoes percent escapes; null where a `%` begins none. */
function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

function fromUrl(text: string): ParsedOptions {
  const refuse = (message: string): ParsedOptions => ({
    ok: false,
    problems: [{ path: ['url'], message }],
  });
  if (!URL.canParse(text)) return refuse('not a URL: expected mysql://user:password@host/database');
  const url = new URL(text);
  const parts = [url.pathname.slice(1), url.hostname, url.username, url.password].map(decoded);
  const [database, host, user, password] = parts;
  if (database == null || host == null || user == null || password == null) {
    return refuse('a % in the URL begins no escape: write it as %25');
  }
  if (database === '') return refuse('the URL names no database: mysql://user@host:port/database');
  if (user === '') return refuse('the URL names no user: mysql://user@host:port/database');
  const given = Object.fromEntries(url.searchParams);
  const { 'ssl-mode': mode, 'ssl-ca': ca, 'ssl-cert': cert, 'ssl-key': key, ...rest } = given;
  const [parameter] = Object.keys(rest);
  if (parameter !== undefined) return refuse(`unknown parameter ${parameter}`);
  const address = { host: host.replace(/^\[|\]$/g, ''), port: Number(url.port || DEFAULT_PORT) };
  return withTls({ ...address, user, password, database }, { mode, ca, cert, key }, 'url');
}

const CONNECT_TIMEOUT_MS = 10_000;

/** What every connection to the server has in common. */
export function connectionOf(options: MysqlOptions): ConnectionOptions {
  const { host, port, user, password } = options;
  return {
    ...{ host, port, user, password, charset: 'utf8mb4', connectTimeout: CONNECT_TIMEOUT_MS },
    ...encryption(options),
  };
}

export const WORDS: TransportWords = {
  ca: 'ssl-ca',
  client: 'ssl-cert=/path/of/client.pem and ssl-key=/path/of/key.pem',
  anyName: 'ssl-mode=VERIFY_CA',
  off: 'ssl-mode=DISABLED',
};

function encryption(options: MysqlOptions): Pick<ConnectionOptions, 'ssl' | 'stream'> {
  const { host, port, sslCa, sslCert, sslKey } = options;
  const { sslMode = isLocal(host) ? 'DISABLED' : 'VERIFY_IDENTITY' } = options;
  if (sslMode === 'DISABLED') return {};
  const read = (path: string) => readFileSync(path, 'utf8');
  const verifyIdentity = sslMode === 'VERIFY_IDENTITY';
  const ssl = {
    rejectUnauthorized: sslMode !== 'REQUIRED',
    verifyIdentity,
    ...(sslCa === undefined ? {} : { ca: read(sslCa) }),
    ...(sslCert === undefined ? {} : { cert: read(sslCert) }),
    ...(sslKey === undefined ? {} : { key: read(sslKey) }),
  };
  if (!verifyIdentity || isIP(host) === 0) return { ssl };
  // The driver names no host for an address, and Node would then compare the certificate with
  // `localhost`: it takes the name that a socket was opened with.
  return { ssl, stream: () => Object.assign(connect({ host, port }), { _host: host }) };
}
