import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'mysql2';
import { z } from 'zod';
import type { ParsedOptions } from '../../src/contract/connector.ts';

/** Where the server is and as whom to log in; `database` is where unqualified tables live. */
export interface MysqlOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** As MySQL's own programs have it, but that nothing is encrypted unless it is asked for. */
  readonly sslMode?: SslMode;
  /** Path of a PEM file with the authorities that sign server certificates. */
  readonly sslCa?: string;
}

const DEFAULT_PORT = 3306;

/** "Command Options for Encrypted Connections" in the MySQL manual. */
const SSL_MODES = ['DISABLED', 'REQUIRED', 'VERIFY_CA', 'VERIFY_IDENTITY'] as const;
type SslMode = (typeof SSL_MODES)[number];

const Url = z
  .string()
  .regex(/^(mysql|mariadb):\/\/./, 'expected mysql://user:password@host:port/database')
  .describe('mysql://user:password@host:port/database?ssl-mode=REQUIRED, or mariadb://…');

const Separate = z.strictObject({
  host: z.string().min(1).default('localhost'),
  port: z.int().min(1).max(65535).default(DEFAULT_PORT),
  user: z.string().min(1),
  password: z.string().default(''),
  database: z.string().min(1).describe('Where tables named without a database live'),
});

const WithUrl = z.strictObject({ url: Url });

export const optionsSchema = z.toJSONSchema(z.union([WithUrl, Separate]), { io: 'input' });

export function parseOptions(options: unknown): ParsedOptions {
  const byUrl = typeof options === 'object' && options !== null && 'url' in options;
  const parsed = byUrl ? WithUrl.safeParse(options) : Separate.safeParse(options);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => ({
      path: path as (string | number)[],
      message,
    }));
    return { ok: false, problems };
  }
  if (!('url' in parsed.data)) return { ok: true, options: parsed.data };
  return fromUrl(parsed.data.url);
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
  const { 'ssl-mode': mode, 'ssl-ca': sslCa, ...rest } = Object.fromEntries(url.searchParams);
  const [parameter] = Object.keys(rest);
  if (parameter !== undefined) return refuse(`unknown parameter ${parameter}`);
  const sslMode = SSL_MODES.find((name) => name === mode?.toUpperCase());
  if (mode !== undefined && sslMode === undefined) {
    return refuse(`ssl-mode is none of ${SSL_MODES.join(', ')}`);
  }
  const options: MysqlOptions = {
    host: host.replace(/^\[|\]$/g, ''),
    port: Number(url.port || DEFAULT_PORT),
    user,
    password,
    database,
    ...(sslMode === undefined ? {} : { sslMode }),
    ...(sslCa === undefined ? {} : { sslCa }),
  };
  return { ok: true, options };
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

function encryption({ sslMode = 'DISABLED', sslCa }: MysqlOptions): Pick<ConnectionOptions, 'ssl'> {
  if (sslMode === 'DISABLED') return {};
  const verified = sslMode !== 'REQUIRED';
  const ca = sslCa === undefined ? {} : { ca: readFileSync(sslCa, 'utf8') };
  const verifyIdentity = sslMode === 'VERIFY_IDENTITY';
  return { ssl: { rejectUnauthorized: verified, verifyIdentity, ...ca } };
}
