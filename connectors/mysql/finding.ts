import type { Finding } from '../../src/contract/connector.ts';

export const found =
  (outcome: Finding['outcome']) =>
  (check: string, message: string, fix: string): Finding => ({
    outcome,
    check: `mysql.${check}`,
    message,
    fix,
  });
export const problem = found('problem');
export const note = found('note');
export const unknown = (check: string, reason: string): Finding =>
  found('unknown')(check, `could not be checked: ${reason}`, 'Grant what the message asks for.');
