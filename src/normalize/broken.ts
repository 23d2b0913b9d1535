import type { Value } from '../model/value.ts';

/** Why a text has no counterpart; never quotes the text. */
export class Broken {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

export type Convert = (text: string) => Value | Broken;
