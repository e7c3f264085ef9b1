// What a client may be told. Files are PEM; times are milliseconds.
export interface Options {
  server: string; // host:port
  token: string; // sent as "authorization: Bearer TOKEN"
  tlsCa: string; // authority that signed the server's certificate; empty = plain text
  tlsCert: string; // the caller's own certificate and key, for a server that asks for one
  tlsKey: string;
  timeoutMs: number; // of one call, all its attempts and pauses together
  maxAttempts: number;
  firstBackoffMs: number; // before the second attempt; doubles, halved at random at most
  maxBackoffMs: number;
  maxUnacknowledged: number; // batches that a feedback stream keeps
  ackTimeoutMs: number; // without an acknowledgement a feedback stream then connects anew
}

export const DEFAULTS: Options = {
  server: "127.0.0.1:7070",
  token: "",
  tlsCa: "",
  tlsCert: "",
  tlsKey: "",
  timeoutMs: 10_000,
  maxAttempts: 5,
  firstBackoffMs: 100,
  maxBackoffMs: 5_000,
  maxUnacknowledged: 1_000,
  ackTimeoutMs: 10_000,
};

// Milliseconds to wait after the nth failure in a row: doubled each time, somewhere between half and all of it so that callers that
// failed together do not come back together; never shorter than the server asked for.
export function pause(options: Options, failures: number, retryDelayMs: number): number {
  const longest = Math.min(options.firstBackoffMs * 2 ** (failures - 1), options.maxBackoffMs);
  return Math.max(longest * (0.5 + Math.random() / 2), retryDelayMs);
}
