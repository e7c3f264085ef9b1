import * as crypto from "node:crypto";
import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import * as grpc from "@grpc/grpc-js";
import * as loader from "@grpc/proto-loader";

import { fromGrpc, OfferdError, PROTO_FOLDER } from "./errors";
import { FeedbackStream, OnAcknowledged } from "./feedback_stream";
import { ProtoGrpcType as FeedbackPackage } from "./generated/feedback_service";
import { ProtoGrpcType as OfferPackage } from "./generated/offer_service";
import { ActivateRequest } from "./generated/offerd/v1/ActivateRequest";
import { ActivateResponse__Output } from "./generated/offerd/v1/ActivateResponse";
import { CrossSellRequest } from "./generated/offerd/v1/CrossSellRequest";
import { FeedbackServiceClient } from "./generated/offerd/v1/FeedbackService";
import { ItemList__Output } from "./generated/offerd/v1/ItemList";
import { OfferServiceClient } from "./generated/offerd/v1/OfferService";
import { RankOffersRequest } from "./generated/offerd/v1/RankOffersRequest";
import { RankOffersResponse__Output } from "./generated/offerd/v1/RankOffersResponse";
import { RecommendItemsRequest } from "./generated/offerd/v1/RecommendItemsRequest";
import { RecommendNextRequest } from "./generated/offerd/v1/RecommendNextRequest";
import { SendFeedbackRequest } from "./generated/offerd/v1/SendFeedbackRequest";
import { SendFeedbackResponse__Output } from "./generated/offerd/v1/SendFeedbackResponse";
import { SimilarItemsRequest } from "./generated/offerd/v1/SimilarItemsRequest";
import { DEFAULTS, Options, pause } from "./options";

const services = grpc.loadPackageDefinition(
  loader.loadSync(["offerd/v1/offer_service.proto", "offerd/v1/feedback_service.proto"], {
    includeDirs: [PROTO_FOLDER],
    longs: String, // 64 bits do not fit a number
    enums: String,
    defaults: true,
    oneofs: true,
  }),
) as unknown as OfferPackage & FeedbackPackage;

type Callback<Response> = (error: grpc.ServiceError | null, response?: Response) => void;

// The connection to one server and the calls of a shop front end. Every call is repeated while its code is UNAVAILABLE or
// RESOURCE_EXHAUSTED, attempts are left and the timeout allows the pause. Failures are OfferdErrors.
export class Client {
  private readonly options: Options;
  private readonly metadata = new grpc.Metadata();
  private readonly offers: OfferServiceClient;
  private readonly feedback: FeedbackServiceClient;

  // Throws for files that cannot be read. A server that is not there shows in the first call.
  constructor(options: Partial<Options>) {
    this.options = { ...DEFAULTS, ...options };
    if (this.options.token !== "") this.metadata.set("authorization", `Bearer ${this.options.token}`);
    const credentials = readCredentials(this.options);
    // A server that restarts is found again within a second; gRPC's own pauses grow to two minutes.
    const channelOptions = { "grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 1000 };
    const channel = new grpc.Channel(this.options.server, credentials, channelOptions);
    const shared = { channelOverride: channel };
    this.offers = new services.offerd.v1.OfferService(this.options.server, credentials, shared);
    this.feedback = new services.offerd.v1.FeedbackService(this.options.server, credentials, shared);
  }

  // An empty requestId is filled in, once for all attempts: a repeat gets the same decision and counts once.
  rankOffers(request: RankOffersRequest): Promise<RankOffersResponse__Output> {
    const filled = request.requestId ? request : { ...request, requestId: crypto.randomUUID() };
    return this.call((options, callback) => this.offers.rankOffers(filled, this.metadata, options, callback));
  }

  activate(request: ActivateRequest): Promise<ActivateResponse__Output> {
    return this.call((options, callback) => this.offers.activate(request, this.metadata, options, callback));
  }

  crossSell(request: CrossSellRequest): Promise<ItemList__Output> {
    return this.call((options, callback) => this.offers.crossSell(request, this.metadata, options, callback));
  }

  similarItems(request: SimilarItemsRequest): Promise<ItemList__Output> {
    return this.call((options, callback) => this.offers.similarItems(request, this.metadata, options, callback));
  }

  recommendItems(request: RecommendItemsRequest): Promise<ItemList__Output> {
    return this.call((options, callback) => this.offers.recommendItems(request, this.metadata, options, callback));
  }

  recommendNext(request: RecommendNextRequest): Promise<ItemList__Output> {
    return this.call((options, callback) => this.offers.recommendNext(request, this.metadata, options, callback));
  }

  // A few events at once; the answer says for each whether it was taken. Many events: feedbackStream.
  sendFeedback(request: SendFeedbackRequest): Promise<SendFeedbackResponse__Output> {
    return this.call((options, callback) => this.feedback.sendFeedback(request, this.metadata, options, callback));
  }

  feedbackStream(onAcknowledged?: OnAcknowledged): FeedbackStream {
    return new FeedbackStream(() => this.feedback.streamFeedback(this.metadata), this.options, onAcknowledged);
  }

  // Close feedback streams first.
  close(): void {
    this.offers.close(); // the channel of both
  }

  private async call<Response>(send: (options: grpc.CallOptions, callback: Callback<Response>) => void): Promise<Response> {
    const deadline = Date.now() + this.options.timeoutMs;
    for (let attempt = 1; ; ++attempt) {
      const result = await new Promise<Response | OfferdError>((resolve) =>
        send({ deadline }, (error, response) => resolve(error ? fromGrpc(error, attempt) : response!)),
      );
      if (!(result instanceof OfferdError)) return result;
      const wait = pause(this.options, attempt, result.retryDelayMs);
      // Waiting past the deadline would only replace this error by a less telling one.
      if (!result.isRetryable || attempt >= this.options.maxAttempts || Date.now() + wait >= deadline) throw result;
      await sleep(wait);
    }
  }
}

function readCredentials(options: Options): grpc.ChannelCredentials {
  if (options.tlsCa === "") {
    if (options.tlsCert !== "" || options.tlsKey !== "") throw new OfferdError("INVALID_ARGUMENT", "tlsCert and tlsKey need tlsCa");
    return grpc.credentials.createInsecure();
  }
  const pem = (file: string) => (file === "" ? null : fs.readFileSync(file));
  return grpc.credentials.createSsl(pem(options.tlsCa), pem(options.tlsKey), pem(options.tlsCert));
}
