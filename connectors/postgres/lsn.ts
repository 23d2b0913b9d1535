/**
 * Log sequence numbers: a byte offset in the write-ahead log, 64 bits, written `16/B374D848`
 * (PostgreSQL manual, "pg_lsn Type").
 */
export function parseLsn(text: string): bigint {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (match === null) throw new Error(`not a log sequence number: ${text}`);
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

export function formatLsn(lsn: bigint): string {
  const high = Number(lsn >> 32n).toString(16);
  const low = Number(BigInt.asUintN(32, lsn)).toString(16);
  return `${high}/${low}`.toUpperCase();
}

export function compareLsn(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
