import type { ClientConfig } from 'pg';
import { z } from 'zod';
import type { ParsedOptions } from '../../src/contract/connector.ts';

const URL_MESSAGE = 'expected postgres://user:password@host:port/database';

const schema = z
  .strictObject({
    url: z
      .string()
      .regex(/^postgres(ql)?:\/\//, URL_MESSAGE)
      .refine(isUrl, URL_MESSAGE)
      // Session settings decide how values are spelled: they are Carrick's, not the URL's.
      .refine((url) => !/[?&](options|replication)=/.test(url), 'must not set `options`')
      .meta({ description: 'Connection URL of the database, with `?sslmode=` when needed.' })
      .optional(),
    host: z.string().min(1).meta({ description: 'Host name or socket folder.' }).optional(),
    port: z.int().min(1).max(65535).meta({ description: 'Default 5432.' }).optional(),
    user: z.string().min(1).optional(),
    password: z.string().optional(),
    database: z.string().min(1).optional(),
  })
  .refine(({ url, host }) => url !== undefined || host !== undefined, 'needs `url` or `host`')
  .refine(
    ({ url, ...parts }) =>
      url === undefined || Object.values(parts).every((part) => part === undefined),
    'give either `url` or `host`, `port`, `user`, `password` and `database`',
  );

export type PostgresOptions = z.infer<typeof schema>;

export const optionsSchema: object = z.toJSONSchema(schema);

export function parseOptions(options: unknown): ParsedOptions {
  const parsed = schema.safeParse(options);
  if (parsed.success) return { ok: true, options: parsed.data };
  const problems = parsed.error.issues.flatMap((issue) => {
    const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
    if (issue.code !== 'unrecognized_keys') return [{ path, message: issue.message }];
    return issue.keys.map((key) => ({ path: [...path, key], message: 'unknown option' }));
  });
  return { ok: false, problems };
}

export function connectionOf(options: PostgresOptions): ClientConfig {
  if (options.url !== undefined) return { connectionString: options.url };
  const { host, port, user, password, database } = options;
  return { host, port, user, password, database };
}

/** The role that the grants are for. */
export function roleOf(options: PostgresOptions): string {
  const user = options.url === undefined ? options.user : new URL(options.url).username;
  return user === undefined || user === '' ? 'carrick' : decodeURIComponent(user);
}

function isUrl(text: string): boolean {
  return URL.canParse(text);
}
