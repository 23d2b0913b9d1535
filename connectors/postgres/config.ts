import type { ClientConfig } from 'pg';
import { z } from 'zod';
import type { ParsedOptions } from '../../src/contract/connector.ts';
import { optionProblems } from '../../src/contract/options.ts';
import { MODES, TLS_KEYS, type TlsSettings, tlsFaults, tlsOptions } from './tls.ts';

const URL_MESSAGE = 'expected postgres://user:password@host:port/database';

const path = (description: string) => z.string().min(1).meta({ description }).optional();

const schema = z
  .strictObject({
    url: z
      .string()
      .regex(/^postgres(ql)?:\/\//, URL_MESSAGE)
      .refine(isUrl, URL_MESSAGE)
      // Session settings decide how values are spelled: they are Carrick's, not the URL's.
      .refine((url) => !/[?&](options|replication)=/.test(url), 'must not set `options`')
      .meta({ description: 'postgres://user:password@host/database?sslrootcert=/path/of/ca.pem' })
      .optional(),
    host: z.string().min(1).meta({ description: 'Host name or socket folder.' }).optional(),
    port: z.int().min(1).max(65535).meta({ description: 'Default 5432.' }).optional(),
    user: z.string().min(1).optional(),
    password: z.string().optional(),
    database: z.string().min(1).optional(),
    sslmode: z
      .enum(MODES)
      .meta({ description: 'Default verify-full, and disable for a host of this machine.' })
      .optional(),
    sslrootcert: path('Authorities of the server, PEM; default those that Node knows.'),
    sslcert: path('Certificate of Carrick, PEM.'),
    sslkey: path('Its key, PEM.'),
  })
  .refine(({ url, host }) => url !== undefined || host !== undefined, 'needs `url` or `host`')
  .refine(
    ({ url, ...parts }) =>
      url === undefined || Object.values(parts).every((part) => part === undefined),
    'give everything in `url`, or `host` and the rest without it',
  );

export type PostgresOptions = z.infer<typeof schema>;

export const optionsSchema: object = z.toJSONSchema(schema);

export function parseOptions(options: unknown): ParsedOptions {
  const parsed = schema.safeParse(options);
  if (parsed.success) {
    const byUrl = parsed.data.url !== undefined;
    const faults = tlsFaults(settingsOf(parsed.data));
    if (faults.length === 0) return { ok: true, options: parsed.data };
    const problems = faults.map(({ key, message }) => ({ path: [byUrl ? 'url' : key], message }));
    return { ok: false, problems };
  }
  const known = Object.keys(schema.shape);
  return { ok: false, problems: optionProblems(parsed.error.issues, options, known) };
}

export function connectionOf(options: PostgresOptions): ClientConfig {
  const tls = settingsOf(options);
  const { host, port, user, password, database } = options;
  if (options.url === undefined) {
    return { host, port, user, password, database, ...encryption(host ?? '', tls) };
  }
  const url = new URL(options.url);
  const at = url.searchParams.get('host') ?? url.hostname.replace(/^\[|\]$/g, '');
  // The driver has rules of its own for these, which change between its versions.
  for (const key of TLS_KEYS) url.searchParams.delete(key);
  return { connectionString: url.href, ...encryption(decodeURIComponent(at), tls) };
}

/** `false` and not left out: the driver would look into the environment. */
const encryption = (host: string, tls: TlsSettings): Pick<ClientConfig, 'ssl'> => ({
  ssl: tlsOptions(host, tls) ?? false,
});

function settingsOf(options: PostgresOptions): TlsSettings {
  const given = options.url === undefined ? null : new URL(options.url).searchParams;
  return Object.fromEntries(
    TLS_KEYS.flatMap((key) => {
      const value = given === null ? options[key] : given.get(key);
      return value == null ? [] : [[key, value]];
    }),
  );
}

/** The role that the grants are for. */
export function roleOf(options: PostgresOptions): string {
  const user = options.url === undefined ? options.user : new URL(options.url).username;
  return user === undefined || user === '' ? 'carrick' : decodeURIComponent(user);
}

function isUrl(text: string): boolean {
  return URL.canParse(text);
}
