import type { ColumnKind, Value } from '../../src/model/value.ts';
import type { TestServer } from '../support/index.ts';

/**
 * What the conformance suite has to know of one kind of system beside its connector. A new system
 * joins with one of these, in `drivers/`; the suite itself speaks only SQL that all of them take
 * (`create table … (id int primary key, name varchar(200), amount decimal(12,2))`, plain INSERT,
 * UPDATE, DELETE, SAVEPOINT, TRUNCATE, ALTER TABLE … DROP COLUMN and ADD COLUMN).
 */
export interface Driver {
  /** As the tests print it. */
  readonly name: string;
  /** The connector's name in the registry. */
  readonly connector: string;
  /** `group: test` to the reason why this kind of system does not take it. */
  readonly waivers: Readonly<Record<string, string>>;
  readonly types: readonly TypeCase[];
  /** Statements that make a user's session as foreign as can be: time zone, formats, modes. */
  readonly sessions: readonly string[];
  readonly dialect: Dialect;
  start(): Promise<Server>;
  /** A server that has nothing in common with those of `start`, not even a template. */
  stranger(): Promise<Server>;
}

/** Starts a server of the engine that is tested. */
export type Starter = (options: { readonly stranger?: boolean }) => Promise<TestServer>;

/** One column type: what it is called, and literals with the value that each is read as. */
export interface TypeCase {
  readonly type: string;
  readonly kind: ColumnKind;
  readonly cases: readonly (readonly [literal: string, value: Value])[];
  /** Statements that make the type. */
  readonly made?: string;
  /** Values of `cases` that the spelling of the kind has no room for, and why. */
  readonly outside?: readonly (readonly [value: string, reason: string])[];
}

/** SQL in which the systems differ. */
export interface Dialect {
  /** Type and attributes of an integer primary key that the server gives. */
  readonly generatedKey: string;
  /** One statement that inserts rows `from` … `to` with a name of 60 characters or more each. */
  fill(table: string, from: number, to: number): string;
  /** A trigger: every row inserted or updated in `table` inserts `(id + 1000, name)` to `into`. */
  trigger(table: string, into: string): string;
}

/** A server of its own, or a database on one that somebody else runs. */
export interface Server extends AsyncDisposable {
  /** For `Connector.parse`. */
  readonly options: unknown;
  readonly control: TestServer;
  /** A session of somebody who uses the system without Carrick. */
  user(): Promise<User>;
  /** Ends every connection that Carrick has open here, as a failing network would. */
  cut(): Promise<void>;
  /** Removes what `setup` made for `instance` and the server would otherwise keep working for. */
  forget(instance: string): Promise<void>;
  /**
   * From now on what `author` commits gets into the log before anybody else can see it; ends with
   * the returned object. Waived where commits become visible in the order of the log.
   */
  hide(author: User): Promise<AsyncDisposable>;
}

export interface User extends AsyncDisposable {
  /** One or more statements. */
  run(sql: string): Promise<void>;
  /** Cells in the server's own text. */
  rows(sql: string): Promise<Value[][]>;
}
