import type { Copier, CopyTransaction, FeedPlace, Trouble } from '../contract/copier.ts';
import type { Load, Work, Writing } from './load.ts';
import { isRenaming, replacing, writingsOf } from './load.ts';

/** Rows of a load that are not in the target as the source has them. */
export interface Left {
  /** The log told too little of them, and the target has no row to complete: to be read. */
  readonly unread: readonly Work[];
  readonly refused: readonly { readonly work: Work; readonly detail: string }[];
}

/** Writes loads in their order, several transactions of the source in one of the target. */
export interface Writer extends AsyncDisposable {
  write(load: Load): Promise<Left>;
  /** Commits what was written so far, with the place behind it. */
  commit(place: FeedPlace): Promise<void>;
  /** Forgets what was written and not committed. */
  abandon(): Promise<void>;
}

export function openWriter(copier: Copier): Writer {
  let open: CopyTransaction | null = null;
  const transaction = async (): Promise<CopyTransaction> => {
    open ??= await copier.begin();
    return open;
  };
  const abandon = async (): Promise<void> => {
    const left = open;
    open = null;
    await left?.[Symbol.asyncDispose]();
  };
  return {
    async write(load) {
      const unread: Work[] = [];
      const refused: { work: Work; detail: string }[] = [];
      for (const section of load.sections()) {
        const into = await transaction();
        const first = await writeAll(into, section);
        // Another row of the same section may have stood in the way.
        const again = first.refused.map(({ work }) => work);
        const cleared = await writeAll(into, replacing(again));
        // A row that is not there under its old key is whole all the same.
        const [known, absent] = partition(first.unread, ({ whole }) => whole);
        // Of a part of a row under a new key nothing can be made.
        const [parts, whole] = partition(again, (work) => isRenaming(work) && !work.whole);
        const second = await writeAll(into, writingsOf([...known, ...whole]));
        unread.push(...absent, ...second.unread, ...parts);
        refused.push(...cleared.refused, ...second.refused);
      }
      return { unread, refused };
    },
    async commit(place) {
      const ending = await transaction();
      open = null;
      try {
        await ending.commit(place);
      } finally {
        await ending[Symbol.asyncDispose]();
      }
    },
    abandon,
    [Symbol.asyncDispose]: abandon,
  };
}

function partition<T>(all: readonly T[], is: (one: T) => boolean): [T[], T[]] {
  return [all.filter(is), all.filter((one) => !is(one))];
}

async function writeAll(into: CopyTransaction, writings: readonly Writing[]): Promise<Left> {
  const unread: Work[] = [];
  const refused: { work: Work; detail: string }[] = [];
  for (const { write, works } of writings) {
    for (const trouble of await into.write(write)) {
      const work = works[trouble.row]!;
      if (trouble.kind === 'refused') refused.push({ work, detail: detailOf(trouble) });
      // A row that goes need not be there.
      else if (work.cells !== null) unread.push(work);
    }
  }
  return { unread, refused };
}

const detailOf = ({ code, reason }: Extract<Trouble, { kind: 'refused' }>): string =>
  `${code}: ${reason}`;
