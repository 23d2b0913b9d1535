import type { Source } from '../contract/source.ts';
import type { Position } from '../model/position.ts';

/**
 * Releases positions to the source once the commits that cover them are on disk (invariant 1),
 * while the next ones are decided.
 */
export function openRelease(source: Pick<Source, 'settle'>) {
  let failure: { readonly error: unknown } | null = null;
  return {
    /** Throws what kept an earlier one off the disk. */
    behind(onDisk: Promise<void>, position: Position): void {
      if (failure !== null) throw failure.error;
      onDisk.then(
        () => source.settle(position),
        (error) => {
          failure ??= { error };
        },
      );
    },
  };
}
