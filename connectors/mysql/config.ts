import { z } from 'zod';
import type { ParsedOptions } from '../../src/contract/connector.ts';

/** Where the server is and as whom to log in; `database` is where unqualified tables live. */
export interface MysqlOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

const DEFAULT_PORT = 3306;

const Url = z
  .string()
  .regex(/^(mysql|mariadb):\/\/./, 'expected mysql://user:password@host:port/database')
  .describe('mysql://user:password@host:port/database, or mariadb://…');

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
  const [parameter] = url.searchParams.keys();
  if (parameter !== undefined) return refuse(`unknown parameter ${parameter}`);
  const options: MysqlOptions = {
    host: host.replace(/^\[|\]$/g, ''),
    port: Number(url.port || DEFAULT_PORT),
    user,
    password,
    database,
  };
  return { ok: true, options };
}
