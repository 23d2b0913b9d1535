import type { Trouble } from '../contract/operator.ts';
import { CarrickError } from '../errors.ts';

/**
 * An error as an operator sees it: in the log, in `status`, in API answers, on the terminal.
 * Only messages of our own are shown: a driver's may quote row values (`Duplicate entry 'x'`) or a
 * connection string. Of other errors the class and the code remain, and of the operating
 * system's the whole message, which names a file or an address.
 */
export function troubleOf(error: unknown): Trouble {
  if (error instanceof CarrickError) {
    return { code: error.code, message: error.message, fix: error.fix };
  }
  if (!(error instanceof Error)) return unexpected('a value that is no error was thrown');
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (typeof syscall === 'string') {
    return {
      code: 'system',
      message: error.message,
      fix: 'see that the file or the address that is named is there and may be used',
    };
  }
  return unexpected(typeof code === 'string' ? `${error.name} ${code}` : error.name);
}

const unexpected = (what: string): Trouble => ({
  code: 'internal',
  message: `unexpected: ${what}`,
  fix: 'this is a defect: run again with CARRICK_DEBUG=1 for the stack, and report it',
});
