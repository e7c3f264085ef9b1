#pragma once
#include <memory>

#include "server/rpc.h"

namespace offerd {

// FeedbackService.StreamFeedback on one queue: batches in, acknowledgements out.
//
// At most 64 batches of a stream are with the handlers at once; beyond that nothing more is read, and the transport holds the
// caller back. Acknowledgements leave in the order of the batches, one at a time. A batch that fails as a whole, does not
// parse or finds no room ends the stream with its status once every batch before it has been acknowledged. A half-close is
// answered with OK after the last acknowledgement. Whatever ends a stream, it waits for every batch that is still with the
// handlers.
std::unique_ptr<RpcPool> MakeFeedbackStreams(const RpcMethod* method, Handlers* handlers, RpcGate* gate, RpcQueue* queue,
                                             int num_waiting);

}  // namespace offerd
