// A thin client of offerd: README.md shows how to use it.
export { Client } from "./client";
export { BufferFull, OfferdError, Violation } from "./errors";
export { Batch, Counts, FeedbackStream, OnAcknowledged } from "./feedback_stream";
export { offerKey } from "./offer_key";
export { Options } from "./options";
