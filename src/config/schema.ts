import * as z from 'zod';

/** A name that expressions, metrics and file formats can all carry. */
export const NAME = /^[a-z][a-z0-9_]{0,39}$/;

const logLevels = ['debug', 'info', 'warn', 'error'] as const;

const secretKey = z
  .string()
  .regex(
    /^[A-Za-z0-9+/]{43}=$/,
    'expected 32 bytes in base64, as openssl rand -base64 32 makes them',
  );

/** carrick.yaml. Options of a system are checked by its connector. */
export const configSchema = z.strictObject({
  systems: z
    .record(
      z.string().regex(NAME, 'a name like crm: a letter, then letters, digits, _'),
      z
        .looseObject({
          connector: z.string().describe('Kind of system, such as postgres or mysql'),
        })
        .describe(
          'The connector and its options. Values may name a variable or a file:/path/of/a/secret',
        ),
    )
    .describe('The systems to keep in agreement, by the name that mappings use'),
  mappings: z
    .array(z.string())
    .min(1)
    .describe('Globs of mapping files, relative to this file; *.cases.yaml files are left out'),
  ledger: z
    .string()
    .regex(/^sqlite:.+/, 'expected sqlite:PATH')
    .describe('sqlite:PATH, relative to this file'),
  ledger_key: z
    .union([secretKey, z.array(secretKey).min(1)])
    .optional()
    .describe(
      'Seals personal values in the ledger; needed where a mapping marks fields `pii`. 32 random ' +
        'bytes in base64. A list: the first seals, the others are old ones, read until then',
    ),
  ledger_limit: z
    .string()
    .regex(/^\d+(MiB|GiB)$/, 'expected a size such as 20GiB')
    .optional()
    .describe('Above it settled journal entries go, the oldest first; the alert comes before it'),
  journal: z
    .strictObject({
      keep: z.string().regex(/^\d+d$/, 'expected days, such as 90d'),
    })
    .optional()
    .describe('How long settled entries are kept; for ever unless it is said'),
  hash_key: secretKey
    .optional()
    .describe('Hashes values that a mapping sends with `privacy: hash`: another key, other hashes'),
  listen: z
    .string()
    .regex(/^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):\d{1,5}$/, 'expected HOST:PORT')
    .default('127.0.0.1:9464')
    .describe('Where /metrics /healthz /readyz and the operator API answer'),
  instance: z
    .string()
    .regex(/^[a-z0-9_]{1,40}$/, 'expected 1 to 40 of a-z, 0-9, _')
    .default('main')
    .describe('Names this installation in marks, slots and publications'),
  api_token: z
    .string()
    .min(16, 'expected at least 16 characters')
    .optional()
    .describe(
      'Bearer token of the operator API; without it only commands beside the ledger get in',
    ),
  snapshot: z
    .strictObject({
      load_share: z
        .number()
        .min(0.01, 'expected 0.01 to 1')
        .max(1, 'expected 0.01 to 1')
        .default(1)
        .describe(
          'Share of the time that a system is kept busy with reading tables. At 0.25 Carrick ' +
            'rests three seconds behind each second of it; below 1 it reads one at a time',
        ),
    })
    .prefault({})
    .describe('First loads and resyncs'),
  verify: z
    .strictObject({
      every: z
        .string()
        .regex(/^[1-9]\d*[smhd]$/, 'expected a duration such as 24h')
        .default('24h')
        .describe('From the end of one pass to the beginning of the next'),
      rows_per_second: z.int().min(1).default(500).describe('Rows that are read or digested'),
    })
    .optional()
    .describe('Compares the systems in the background; without it only `carrick verify` does'),
  log_level: z.enum(logLevels).default('info'),
});

export type LogLevel = (typeof logLevels)[number];
export type ConfigFile = z.infer<typeof configSchema>;
