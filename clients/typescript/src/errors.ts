import * as path from "node:path";

import * as grpc from "@grpc/grpc-js";
import * as protobuf from "protobufjs";

export interface Violation {
  field: string; // path from the request
  description: string;
}

// A call that failed for good: what could be repeated was. `code` is the name of the gRPC code.
export class OfferdError extends Error {
  constructor(
    readonly code: string,
    readonly detail: string,
    readonly attempts = 0, // 0: nothing was sent
    readonly violations: Violation[] = [],
    readonly retryDelayMs = 0, // that the server asked to wait
  ) {
    super(`${code}: ${detail}${attempts > 0 ? ` (attempts: ${attempts})` : ""}`);
    this.name = "OfferdError";
  }

  get isRetryable(): boolean {
    return this.code === "UNAVAILABLE" || this.code === "RESOURCE_EXHAUSTED";
  }
}

// A feedback stream keeps as many unacknowledged batches as it may: nothing was taken. Try again later, or drop the events knowingly.
export class BufferFull extends OfferdError {
  constructor(limit: number, lastError: string) {
    super("RESOURCE_EXHAUSTED", `${limit} batches wait for an acknowledgement already${lastError}`);
    this.name = "BufferFull";
  }
}

export const PROTO_FOLDER = path.join(__dirname, "proto"); // the build puts a copy there

const root = new protobuf.Root();
root.resolvePath = (_, target) => path.join(PROTO_FOLDER, target);
root.loadSync(["google/rpc/error.proto", "retry_info.proto"]);
const status = root.lookupType("google.rpc.Status");
const badRequest = root.lookupType("google.rpc.BadRequest");
const retryInfo = root.lookupType("offerd.client.RetryInfo");

// What grpc-js calls INTERNAL although no server said so: the connection broke while something was written, or without a status.
const BROKEN_CONNECTION = /^(Write error: |Received RST_STREAM )/;

export function fromGrpc(answer: grpc.StatusObject, attempts: number): OfferdError {
  const violations: Violation[] = [];
  let retryDelayMs = 0;
  try {
    for (const bytes of answer.metadata?.get("grpc-status-details-bin") ?? []) {
      for (const detail of read(status, bytes as Buffer).details ?? []) {
        const kind = detail.type_url.split("/").pop();
        if (kind === "google.rpc.BadRequest") violations.push(...(read(badRequest, detail.value).fieldViolations ?? []));
        if (kind === "google.rpc.RetryInfo") {
          const delay = read(retryInfo, detail.value).retryDelay ?? {};
          retryDelayMs = (delay.seconds ?? 0) * 1000 + (delay.nanos ?? 0) / 1e6;
        }
      }
    }
  } catch {
    // Details are a courtesy: damaged ones must not hide the code.
  }
  const isBroken = answer.code === grpc.status.INTERNAL && BROKEN_CONNECTION.test(answer.details);
  const code = isBroken ? "UNAVAILABLE" : (grpc.status[answer.code] ?? "UNKNOWN");
  return new OfferdError(code, answer.details, attempts, violations, retryDelayMs);
}

function read(type: protobuf.Type, bytes: Uint8Array): { [name: string]: any } {
  return type.toObject(type.decode(bytes), { longs: Number });
}
