/** What the pipeline does about an error: try again, set the item aside, or stop the daemon. */
export type Disposition = 'retry' | 'park' | 'halt';

/**
 * An error with a stable code, what becomes of it, and what the operator can do. Messages never
 * hold secrets or row values.
 */
export class CarrickError extends Error {
  readonly code: string;
  readonly disposition: Disposition;
  readonly fix: string;

  constructor(
    code: string,
    disposition: Disposition,
    message: string,
    fix: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'CarrickError';
    this.code = code;
    this.disposition = disposition;
    this.fix = fix;
  }
}

export const retry = (code: string, message: string, fix: string, cause?: unknown): CarrickError =>
  new CarrickError(code, 'retry', message, fix, { cause });

export const halt = (code: string, message: string, fix: string, cause?: unknown): CarrickError =>
  new CarrickError(code, 'halt', message, fix, { cause });
