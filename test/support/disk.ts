/** A disk so small that it can be filled: a tmpfs, which only root may mount. */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';

export interface SmallDisk extends Disposable {
  readonly folder: string;
  /** Takes all the space that is left. */
  fill(): void;
  /** Gives it back. */
  free(): void;
}

/** Null where it cannot be mounted. */
export function mountSmallDisk(folder: string, megabytes: number): SmallDisk | null {
  mkdirSync(folder);
  try {
    const options = ['-t', 'tmpfs', '-o', `size=${megabytes}m`];
    execFileSync('mount', [...options, 'carrick-torture', folder], { stdio: 'ignore' });
  } catch {
    return null;
  }
  const guard = unmountAfterwards(folder);
  const ballast = join(folder, 'ballast');
  const free = (): void => rmSync(ballast, { force: true });
  return {
    folder,
    fill() {
      const file = openSync(ballast, 'a');
      const block = Buffer.alloc(4096);
      try {
        for (;;) writeSync(file, block);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      } finally {
        closeSync(file);
      }
    },
    free,
    [Symbol.dispose]: () => guard.end(),
  };
}

/** However this process ends, the kernel closes the pipe, and the shell unmounts. */
function unmountAfterwards(folder: string): Socket {
  const guard = spawn('/bin/sh', ['-c', 'cat; umount -l "$0"; rmdir "$0"', folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.unref();
  const pipe = guard.stdin as Socket;
  pipe.unref();
  return pipe;
}
