import { z } from 'zod';
import type { Daemon } from '../contract/controls.ts';
import type { DigestPart, ListFilter, RepairRequest, VerifyPart } from '../contract/operator.ts';
import { CarrickError } from '../errors.ts';

const id = z.int().positive();
const name = z.string().max(200);

const personal = z.boolean().exactOptional();

const listFilter = z.strictObject({
  entity: name.exactOptional(),
  state: name.exactOptional(),
  id: id.exactOptional(),
  before: id.exactOptional(),
  limit: z.int().min(1).max(1_000),
  personal,
}) satisfies z.ZodType<ListFilter>;

const choice = z.union([
  z.strictObject({ take: name }),
  z.strictObject({ values: z.record(name, z.string().nullable()) }),
]);
const ids = z.strictObject({ ids: z.array(id).min(1).max(1_000) });

const named = z.strictObject({ name: name.nullable() });
const level = z.enum(['debug', 'info', 'warn', 'error']);

const resyncBody = z.strictObject({
  entity: name,
  system: name.nullable(),
  where: z.string().max(4_000).nullable().exactOptional(),
});

const rowName = z.string().max(4_000);
const part = z.union([
  z.strictObject({ kind: z.enum(['rows', 'records']), after: rowName.nullable() }),
  z.strictObject({ kind: z.literal('keys'), keys: z.array(rowName).min(1).max(1_000) }),
]) satisfies z.ZodType<VerifyPart>;

const digestPart = z.strictObject({
  after: rowName.nullable(),
  limit: z.int().min(1).max(1_000_000),
  bits: z.int().min(1).max(16),
  among: z.array(z.int().min(0).max(65_535)).max(4_000).nullable(),
}) satisfies z.ZodType<DigestPart>;

const repairRequest = z.strictObject({
  entity: name,
  system: name,
  keys: z.array(rowName).min(1).max(200),
  from: name.nullable(),
  dryRun: z.boolean(),
}) satisfies z.ZodType<RepairRequest>;

interface Method {
  /** What a request's body must be. */
  readonly body: z.ZodType;
  readonly call: (daemon: Daemon, body: unknown) => Promise<unknown>;
}

const method = <T>(
  body: z.ZodType<T>,
  call: (daemon: Daemon, body: T) => Promise<unknown>,
): Method => ({ body, call: (daemon, given) => call(daemon, given as T) });

/** `POST /api/<method>` by method: the body and the call. The answer is the result as JSON. */
export const METHODS: Readonly<Record<keyof Daemon, Method>> = {
  status: method(z.strictObject({}), (operator) => operator.status()),
  conflicts: method(listFilter, (operator, filter) => operator.conflicts(filter)),
  resolve: method(z.strictObject({ id, choice, personal }), (operator, body) =>
    operator.resolve(body.id, body.choice, body.personal),
  ),
  parked: method(listFilter, (operator, filter) => operator.parked(filter)),
  retry: method(ids, (operator, body) => operator.retry(body.ids)),
  discard: method(ids, (operator, body) => operator.discard(body.ids)),
  forget: method(z.strictObject({ entity: name, key: rowName }), (operator, body) =>
    operator.forget(body.entity, body.key),
  ),
  explain: method(z.strictObject({ entity: name, key: rowName, personal }), (operator, body) =>
    operator.explain(body.entity, body.key, body.personal),
  ),
  resync: method(resyncBody, (operator, { entity, system, where }) =>
    operator.resync(entity, system, where ?? null),
  ),
  verify: method(z.strictObject({ entity: name, system: name, part, personal }), (operator, body) =>
    operator.verify(body.entity, body.system, body.part, body.personal),
  ),
  digest: method(
    z.strictObject({ entity: name, system: name, part: digestPart }),
    (operator, body) => operator.digest(body.entity, body.system, body.part),
  ),
  caughtUp: method(z.strictObject({ entity: name }), (operator, body) =>
    operator.caughtUp(body.entity),
  ),
  repair: method(repairRequest, (operator, request) => operator.repair(request)),
  pause: method(named, (daemon, body) => daemon.pause(body.name)),
  resume: method(named, (daemon, body) => daemon.resume(body.name)),
  logLevel: method(z.strictObject({ level: level.nullable() }), (daemon, body) =>
    daemon.logLevel(body.level),
  ),
  support: method(z.strictObject({}), (daemon) => daemon.support()),
};

/** Answers one call. Errors: `http.method` for an unknown method, `http.body` for a wrong body. */
export async function callMethod(
  daemon: Daemon,
  methodName: string,
  body: unknown,
): Promise<unknown> {
  if (!Object.hasOwn(METHODS, methodName)) {
    const known = Object.keys(METHODS).join(', ');
    throw new CarrickError('http.method', 'park', 'no such method', `use one of: ${known}`);
  }
  const { body: shape, call } = METHODS[methodName as keyof Daemon];
  const parsed = shape.safeParse(body);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(
      ({ path, message }) => `${path.join('.') || 'body'}: ${message}`,
    );
    throw new CarrickError(
      'http.body',
      'park',
      `the body does not fit: ${faults.join('; ')}`,
      'send a JSON object as the README describes it',
    );
  }
  return (await call(daemon, parsed.data)) ?? null;
}
