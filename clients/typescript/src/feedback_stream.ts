import * as grpc from "@grpc/grpc-js";

import { BufferFull, fromGrpc, OfferdError } from "./errors";
import { Event } from "./generated/offerd/v1/Event";
import { FeedbackAcknowledgement__Output } from "./generated/offerd/v1/FeedbackAcknowledgement";
import { FeedbackBatch } from "./generated/offerd/v1/FeedbackBatch";
import { Options, pause } from "./options";

export type OnAcknowledged = (batch: Batch, acknowledgement: FeedbackAcknowledgement__Output) => void;

export interface Batch {
  clientSequence: number;
  events: Event[];
}

// Events, but for reconnects.
export interface Counts {
  acknowledged: number;
  applied: number;
  duplicate: number; // the server had them already: counted once all the same
  other: number; // late, orphan or refused: onAcknowledged tells which
  reconnects: number;
}

type Call = grpc.ClientDuplexStream<FeedbackBatch, FeedbackAcknowledgement__Output>;

// Keeps every batch until the server acknowledges it. A connection that breaks is made anew, for as long as the stream lives, and what
// was not acknowledged is sent again in order; the server recognises repeats by their eventId. An error that no repeat can cure ends the
// stream: send and flush throw it, and `unacknowledged` has what was not taken.
export class FeedbackStream {
  private readonly batches: Batch[] = []; // unacknowledged, oldest first
  private readonly counted: Counts = { acknowledged: 0, applied: 0, duplicate: 0, other: 0, reconnects: 0 };
  private readonly waiting = new Set<() => void>(); // called at every change
  private written = 0; // of batches, into the present call
  private nextSequence = 1;
  private failures = 0; // since the last acknowledgement
  private call?: Call;
  private reopen?: NodeJS.Timeout; // while there is no call
  private stall?: NodeJS.Timeout; // while something is to be acknowledged
  private isClosing = false;
  private failure?: OfferdError; // final
  private lastError?: OfferdError;

  constructor(
    private readonly openCall: () => Call,
    private readonly options: Options,
    private readonly onAcknowledged?: OnAcknowledged,
  ) {}

  // Takes one batch and returns its number at once; throws BufferFull when maxUnacknowledged batches wait already.
  send(events: Event[]): number {
    if (this.failure) throw this.failure;
    if (this.isClosing) throw new OfferdError("FAILED_PRECONDITION", "the feedback stream is closed");
    if (this.batches.length >= this.options.maxUnacknowledged) throw new BufferFull(this.batches.length, this.lastErrorText());
    const batch = { clientSequence: this.nextSequence++, events };
    this.batches.push(batch);
    if (!this.call && !this.reopen) this.open();
    else this.writeBatches();
    return batch.clientSequence;
  }

  // Waits until everything sent is acknowledged; throws DEADLINE_EXCEEDED after `timeoutMs`: nothing is lost then.
  async flush(timeoutMs: number): Promise<void> {
    const isInTime = await this.wait(timeoutMs, () => this.batches.length === 0 || this.failure !== undefined);
    if (this.failure) throw this.failure;
    if (isInTime) return;
    const message = `${this.batches.length} batches not acknowledged within ${timeoutMs} ms${this.lastErrorText()}`;
    throw new OfferdError("DEADLINE_EXCEEDED", message);
  }

  // flush, then the end of the stream, also when flush fails: what was not acknowledged by then stays in `unacknowledged`.
  async close(timeoutMs: number): Promise<void> {
    try {
      await this.flush(timeoutMs);
    } finally {
      this.isClosing = true;
      clearTimeout(this.reopen);
      clearTimeout(this.stall);
      if (this.batches.length > 0) this.call?.cancel();
      else this.call?.end();
      if (!(await this.wait(this.options.ackTimeoutMs, () => this.call === undefined))) this.call?.cancel();
    }
  }

  counts(): Counts {
    return { ...this.counted };
  }

  unacknowledged(): Batch[] {
    return [...this.batches];
  }

  private open(): void {
    this.reopen = undefined;
    this.written = 0;
    const call = this.openCall();
    this.call = call;
    call.on("data", (acknowledgement) => this.call === call && this.take(acknowledgement));
    call.on("error", () => {}); // the status has it, too
    call.on("status", (status) => this.call === call && this.ended(fromGrpc(status, 1)));
    this.writeBatches();
  }

  private writeBatches(): void {
    if (!this.call) return;
    if (this.written === 0 && this.batches.length > 0) this.watch();
    while (this.written < this.batches.length) this.call.write(this.batches[this.written++]);
  }

  // Gives the call up when no acknowledgement comes in time.
  private watch(): void {
    clearTimeout(this.stall);
    this.stall = setTimeout(() => {
      const call = this.call;
      this.ended(new OfferdError("UNAVAILABLE", `no acknowledgement within ${this.options.ackTimeoutMs} ms`));
      call?.cancel();
    }, this.options.ackTimeoutMs);
  }

  private take(acknowledgement: FeedbackAcknowledgement__Output): void {
    const batch = this.batches[0];
    if (this.written === 0 || String(batch.clientSequence) !== acknowledgement.clientSequence) {
      this.giveUp(new OfferdError("INTERNAL", `the server acknowledged batch ${acknowledgement.clientSequence} out of order`));
      return;
    }
    try {
      this.onAcknowledged?.(batch, acknowledgement);
    } catch (error) {
      this.giveUp(new OfferdError("INTERNAL", `onAcknowledged failed: ${error}`));
      return;
    }
    this.batches.shift();
    --this.written;
    this.failures = 0;
    this.counted.acknowledged += batch.events.length;
    this.counted.applied += acknowledgement.applied;
    for (const result of acknowledgement.others) ++this.counted[result.fate === "DUPLICATE" ? "duplicate" : "other"];
    if (this.written > 0) this.watch();
    else clearTimeout(this.stall);
    this.announce();
  }

  private giveUp(error: OfferdError): void {
    const call = this.call;
    this.ended(error);
    call?.cancel();
  }

  private ended(status: OfferdError): void {
    this.call = undefined;
    clearTimeout(this.stall);
    if (!this.isClosing) {
      const error = status.code === "OK" ? new OfferdError("UNAVAILABLE", "the server ended the stream") : status;
      this.lastError = error;
      // A server that shuts down cancels streams that arrive too late; those that we cancel are not ours any more here.
      if (error.isRetryable || error.code === "CANCELLED") {
        const wait = pause(this.options, ++this.failures, error.retryDelayMs);
        this.reopen = setTimeout(() => {
          ++this.counted.reconnects;
          this.open();
        }, wait);
      } else {
        this.failure = error;
      }
    }
    this.announce();
  }

  private announce(): void {
    for (const look of this.waiting) look();
  }

  private wait(timeoutMs: number, isReady: () => boolean): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (result: boolean) => {
        clearTimeout(timer);
        this.waiting.delete(look);
        resolve(result);
      };
      const look = () => isReady() && done(true);
      const timer = setTimeout(() => done(false), timeoutMs);
      this.waiting.add(look);
      look();
    });
  }

  private lastErrorText(): string {
    return this.lastError ? `; last error: ${this.lastError.code}: ${this.lastError.detail}` : "";
  }
}
