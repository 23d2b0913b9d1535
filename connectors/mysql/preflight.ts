import type { Finding, Needs } from '../../src/contract/connector.ts';
import type { MysqlOptions } from './config.ts';
import { asCarrickError, messageWithoutValues } from './errors.ts';
import { found, unknown } from './finding.ts';
import {
  checkBinlog,
  checkFilters,
  checkGtid,
  checkReplicationGrants,
  checkVersion,
} from './server-checks.ts';
import { openSession, type Session } from './session.ts';
import { readsLog } from './setup.ts';
import { checkCopies, checkOwnTables, checkTables, checkWriteGrants } from './table-checks.ts';

type Check = (session: Session) => Promise<Finding[]>;

const logChecks = (options: MysqlOptions, needs: Needs): Readonly<Record<string, Check>> => ({
  binlog: checkBinlog,
  gtid: checkGtid,
  filters: (s) => checkFilters(s, options, needs),
  replication: checkReplicationGrants,
});

/** Everything that would stop or endanger a run, found by looking only. */
export async function preflight(options: MysqlOptions, needs: Needs): Promise<Finding[]> {
  let session: Session;
  try {
    session = await openSession(options);
  } catch (error) {
    const { message, fix, disposition } = asCarrickError(error, 'source');
    // A refused login was found wrong; of a server that does not answer nothing is known.
    const outcome = disposition === 'retry' ? 'unknown' : 'problem';
    return [found(outcome)('connection', `cannot connect: ${message}`, fix)];
  }
  await using open = session;
  const checks: Readonly<Record<string, Check>> = {
    version: checkVersion,
    ...(readsLog(needs) ? logChecks(options, needs) : {}),
    mark: (s) => checkOwnTables(s, needs),
    tables: (s) => checkTables(s, options, needs),
    copies: (s) => checkCopies(s, options, needs),
    grants: (s) => checkWriteGrants(s, options, needs),
  };
  const findings: Finding[] = [];
  for (const [name, check] of Object.entries(checks)) {
    try {
      findings.push(...(await check(open)));
    } catch (error) {
      findings.push(unknown(name, messageWithoutValues(error)));
    }
  }
  return findings;
}
