/** Readers of a log run as programs of their own: none of them pays for another's heap. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Job, Reading } from './readers/job.ts';

const PROGRAMS = {
  bytes: new URL('./readers/bytes.ts', import.meta.url),
  carrick: new URL('./readers/carrick.ts', import.meta.url),
  stock: new URL('./readers/stock.ts', import.meta.url),
  zongji: new URL('./readers/zongji.ts', import.meta.url),
} as const;

/** Rows a second. */
export async function readRate(reader: keyof typeof PROGRAMS, job: Job): Promise<number> {
  const program = fileURLToPath(PROGRAMS[reader]);
  const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(job)]);
  const reading: Reading = JSON.parse(stdout);
  return job.rows / reading.seconds;
}
