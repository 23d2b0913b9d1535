/**
 * What every connector does alike about encrypted connections: whatever is not on this machine is
 * encrypted and verified, name included, unless the configuration says otherwise in so many words.
 */

/** Whether nothing on the way can listen: a socket file, or an address of this machine. */
export function isLocal(host: string): boolean {
  return (
    host === '' ||
    host.startsWith('/') ||
    /^(.*\.)?localhost$/i.test(host) ||
    /^127(\.\d{1,3}){3}$/.test(host) ||
    host === '::1'
  );
}

/** The names that a connector's options have. */
export interface TransportWords {
  /** The file with the authorities to trust. */
  readonly ca: string;
  /** The files of the client certificate and its key. */
  readonly client: string;
  /** How to connect whatever name the certificate has, and how without encryption. */
  readonly anyName: string;
  readonly off: string;
}

interface Rule {
  /** In the error's code and message: drivers replace the one or the other. */
  readonly pattern: RegExp;
  readonly message: string;
  readonly fix: (words: TransportWords) => string;
}

const RULES: readonly Rule[] = [
  {
    pattern: /CERT_HAS_EXPIRED|certificate has expired/i,
    message: 'the certificate of the server has expired',
    fix: () => 'Renew it on the server: Carrick then goes on by itself.',
  },
  {
    pattern: /CERT_NOT_YET_VALID|certificate is not yet valid/i,
    message: 'the certificate of the server is not valid yet',
    fix: () => 'Compare the clocks of the two machines.',
  },
  {
    pattern: /ALTNAME_INVALID|does not match certificate's altnames|not in the cert's/i,
    message: 'the certificate of the server is for another name',
    fix: ({ anyName }) =>
      `Connect by a name that it has, or give the server one for this name; ${anyName} takes any ` +
      'name of the same authority.',
  },
  {
    pattern: /SELF_SIGNED|UNABLE_TO_|self[- ]signed certificate|unable to (verify|get)/i,
    message: 'the certificate of the server is of no authority that is trusted here',
    fix: ({ ca }) => `Name the file with its authority: ${ca}=/path/of/ca.pem.`,
  },
  {
    pattern: /(certificate required|bad certificate|unknown ca|certificate expired|client cert)/i,
    message: 'the server wants a client certificate that it trusts',
    fix: ({ client }) => `Name one, of an authority of the server: ${client}.`,
  },
  {
    pattern: /does not support (SSL|secure)/i,
    message: 'the server speaks no TLS, and it is not on this machine',
    fix: ({ off }) => `Switch TLS on in the server; ${off} if the network itself is trusted.`,
  },
];

/** What is wrong with the encryption and the way out; null: the error is about something else. */
export function transportTrouble(
  error: unknown,
  words: TransportWords,
): { readonly message: string; readonly fix: string } | null {
  if (!(error instanceof Error)) return null;
  const { code = '' } = error as { code?: unknown };
  const text = `${code} ${error.message}`;
  const rule = RULES.find(({ pattern }) => pattern.test(text));
  return rule === undefined ? null : { message: rule.message, fix: rule.fix(words) };
}
