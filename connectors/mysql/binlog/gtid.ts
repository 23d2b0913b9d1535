/**
 * GTIDs and sets of them. MariaDB (`domain-server-sequence`): the log of one domain is totally
 * ordered, so the last GTID of every domain says what was executed. MySQL (`uuid[:tag]:number`):
 * intervals for every uuid and tag (reference manual, "GTID Format and Storage").
 */

/** What was executed. `add` is in commit order; `text` is what the server itself accepts. */
export interface GtidSet {
  add(gtid: string): void;
  has(gtid: string): boolean;
  text(): string;
  readonly empty: boolean;
}

const MARIADB_GTID = /^(\d{1,10})-(\d{1,10})-(\d{1,20})$/;

export interface MariadbGtid {
  readonly domain: number;
  readonly server: number;
  readonly sequence: number;
}

export function parseMariadbGtid(text: string): MariadbGtid {
  const match = MARIADB_GTID.exec(text.trim());
  if (match === null) throw new RangeError(`not a MariaDB GTID: ${text}`);
  return { domain: Number(match[1]), server: Number(match[2]), sequence: Number(match[3]) };
}

export function mariadbGtidSet(text: string): GtidSet {
  const last = new Map<number, string>();
  const domainOf = (gtid: string): number => Number(gtid.slice(0, gtid.indexOf('-')));
  for (const part of split(text)) {
    const { domain, server, sequence } = parseMariadbGtid(part);
    if (last.has(domain)) throw new RangeError(`two GTIDs of one domain: ${text}`);
    last.set(domain, `${domain}-${server}-${sequence}`);
  }
  return {
    add: (gtid) => {
      last.set(domainOf(gtid), gtid);
    },
    has: (gtid) => {
      const known = last.get(domainOf(gtid));
      return (
        known !== undefined && parseMariadbGtid(gtid).sequence <= parseMariadbGtid(known).sequence
      );
    },
    text: () =>
      [...last]
        .sort(([a], [b]) => a - b)
        .map(([, gtid]) => gtid)
        .join(','),
    get empty() {
      return last.size === 0;
    },
  };
}

/** First and last number, both included, ascending and apart from one another. */
type Interval = [first: number, last: number];

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const INTERVAL = /^(\d{1,16})(?:-(\d{1,16}))?$/;
const TAG = /^[a-z_][a-z0-9_]{0,31}$/;

export interface MysqlGtidSet extends GtidSet {
  /** True if everything in `other` is here. */
  contains(other: MysqlGtidSet): boolean;
  /** The set as COM_BINLOG_DUMP_GTID carries it (MySQL source, `Gtid_set::encode`). */
  encode(): Buffer;
  /** `uuid` or `uuid:tag`, and the intervals, in the order of the text. */
  entries(): readonly (readonly [source: string, intervals: readonly Interval[]])[];
}

export function mysqlGtidSet(text: string): MysqlGtidSet {
  const sources = new Map<string, Interval[]>();
  const intervalsOf = (source: string): Interval[] => {
    let intervals = sources.get(source);
    if (intervals !== undefined) return intervals;
    intervals = [];
    sources.set(source, intervals);
    return intervals;
  };
  for (const part of split(text)) {
    const [uuid = '', ...rest] = part
      .toLowerCase()
      .split(':')
      .map((word) => word.trim());
    if (!UUID.test(uuid)) throw new RangeError(`not a GTID set: ${text}`);
    let source = uuid;
    for (const word of rest) {
      const interval = INTERVAL.exec(word);
      if (interval !== null) {
        const first = Number(interval[1]);
        insert(intervalsOf(source), first, Number(interval[2] ?? interval[1]));
      } else if (TAG.test(word)) source = `${uuid}:${word}`;
      else throw new RangeError(`not a GTID set: ${text}`);
    }
  }
  const entries = () =>
    [...sources].filter(([, i]) => i.length > 0).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    add: (gtid) => {
      const colon = gtid.lastIndexOf(':');
      const number = Number(gtid.slice(colon + 1));
      insert(intervalsOf(gtid.slice(0, colon)), number, number);
    },
    has: (gtid) => {
      const colon = gtid.lastIndexOf(':');
      const number = Number(gtid.slice(colon + 1));
      return covers(sources.get(gtid.slice(0, colon)) ?? [], number, number);
    },
    contains: (other) =>
      other
        .entries()
        .every(([source, intervals]) =>
          intervals.every(([first, last]) => covers(sources.get(source) ?? [], first, last)),
        ),
    text: () => format(entries()),
    encode: () => encode(entries()),
    entries,
    get empty() {
      return entries().length === 0;
    },
  };
}

const split = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

function insert(intervals: Interval[], first: number, last: number): void {
  if (first < 1 || last < first) throw new RangeError(`not an interval: ${first}-${last}`);
  const tail = intervals.at(-1);
  // Commit order almost always adds the next number.
  if (tail !== undefined && first === tail[1] + 1) {
    tail[1] = last;
    return;
  }
  let at = 0;
  while (at < intervals.length && intervals[at]![1] < first - 1) at++;
  let end = at;
  while (end < intervals.length && intervals[end]![0] <= last + 1) {
    first = Math.min(first, intervals[end]![0]);
    last = Math.max(last, intervals[end]![1]);
    end++;
  }
  intervals.splice(at, end - at, [first, last]);
}

function covers(intervals: readonly Interval[], first: number, last: number): boolean {
  return intervals.some(([from, to]) => from <= first && last <= to);
}

/** One block for every uuid, its tags behind it: `uuid:1-5:tag:1`. */
function format(entries: readonly (readonly [string, readonly Interval[]])[]): string {
  let text = '';
  let uuid = '';
  for (const [source, intervals] of entries) {
    const [id = '', tag] = source.split(':');
    if (id !== uuid) text += `${text === '' ? '' : ','}${id}`;
    uuid = id;
    if (tag !== undefined) text += `:${tag}`;
    for (const [first, last] of intervals)
      text += first === last ? `:${first}` : `:${first}-${last}`;
  }
  return text;
}

/**
 * Without tags: the number of uuids, then for each its 16 bytes, the number of intervals and their
 * ends (the last one not included), all 64-bit. With tags (8.3): the first number is
 * `1 << 56 | entries << 8 | 1`, and a length (shifted by one) and the tag follow each uuid.
 */
function encode(entries: readonly (readonly [string, readonly Interval[]])[]): Buffer {
  const tagged = entries.some(([source]) => source.includes(':'));
  const count = BigInt(entries.length);
  const parts = [number64(tagged ? (1n << 56n) | (count << 8n) | 1n : count)];
  for (const [source, intervals] of entries) {
    const [uuid = '', tag = ''] = source.split(':');
    parts.push(Buffer.from(uuid.replaceAll('-', ''), 'hex'));
    if (tagged) parts.push(Buffer.from([tag.length << 1]), Buffer.from(tag, 'ascii'));
    parts.push(number64(BigInt(intervals.length)));
    for (const [first, last] of intervals) {
      parts.push(number64(BigInt(first)), number64(BigInt(last) + 1n));
    }
  }
  return Buffer.concat(parts);
}

function number64(value: bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(value);
  return buffer;
}
