package offerd

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	v1 "offerd.example/clients/go/generated/offerdv1"
)

// Client is the connection to one server and the calls of a shop front end. Every call is repeated while its code is Unavailable or
// ResourceExhausted, attempts are left and the timeout allows the pause. Failures are of type *Error. Safe for concurrent use.
type Client struct {
	options    Options
	connection *grpc.ClientConn
	offers     v1.OfferServiceClient
	feedback   v1.FeedbackServiceClient
}

// Connect fails for files that cannot be read. A server that is not there shows in the first call.
func Connect(options Options) (*Client, error) {
	options = options.withDefaults()
	transport, err := readCredentials(options)
	if err != nil {
		return nil, err
	}
	// A server that restarts is found again within a second; gRPC's own pauses grow to two minutes.
	pauses := backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}
	connection, err := grpc.NewClient(options.Server, grpc.WithTransportCredentials(transport),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: pauses, MinConnectTimeout: 2 * time.Second}))
	if err != nil {
		return nil, failure(codes.InvalidArgument, "%v", err)
	}
	return &Client{options, connection, v1.NewOfferServiceClient(connection), v1.NewFeedbackServiceClient(connection)}, nil
}

// Close ends the connection. Close feedback streams first.
func (c *Client) Close() error { return c.connection.Close() }

// RankOffers fills in an empty request id, once for all attempts: a repeat gets the same decision and counts once.
func (c *Client) RankOffers(ctx context.Context, request *v1.RankOffersRequest) (*v1.RankOffersResponse, error) {
	if request.GetRequestId() == "" {
		request = proto.Clone(request).(*v1.RankOffersRequest)
		request.RequestId = randomID()
	}
	return call(ctx, c, c.offers.RankOffers, request)
}

// Activate says that slots of a deferred decision were shown.
func (c *Client) Activate(ctx context.Context, request *v1.ActivateRequest) (*v1.ActivateResponse, error) {
	return call(ctx, c, c.offers.Activate, request)
}

// CrossSell answers with what goes with a cart.
func (c *Client) CrossSell(ctx context.Context, request *v1.CrossSellRequest) (*v1.ItemList, error) {
	return call(ctx, c, c.offers.CrossSell, request)
}

// SimilarItems answers with what resembles an item.
func (c *Client) SimilarItems(ctx context.Context, request *v1.SimilarItemsRequest) (*v1.ItemList, error) {
	return call(ctx, c, c.offers.SimilarItems, request)
}

// RecommendItems answers with what a customer may want.
func (c *Client) RecommendItems(ctx context.Context, request *v1.RecommendItemsRequest) (*v1.ItemList, error) {
	return call(ctx, c, c.offers.RecommendItems, request)
}

// RecommendNext answers with the next items of a session.
func (c *Client) RecommendNext(ctx context.Context, request *v1.RecommendNextRequest) (*v1.ItemList, error) {
	return call(ctx, c, c.offers.RecommendNext, request)
}

// SendFeedback takes a few events at once; the answer says for each whether it was taken. Many events: FeedbackStream.
func (c *Client) SendFeedback(ctx context.Context, request *v1.SendFeedbackRequest) (*v1.SendFeedbackResponse, error) {
	return call(ctx, c, c.feedback.SendFeedback, request)
}

// FeedbackStream starts a stream. onAcknowledged may be nil; it is called from a goroutine of the stream.
func (c *Client) FeedbackStream(onAcknowledged func(*v1.FeedbackBatch, *v1.FeedbackAcknowledgement)) *FeedbackStream {
	return newFeedbackStream(c, onAcknowledged)
}

func (c *Client) withToken(ctx context.Context) context.Context {
	if c.options.Token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.options.Token)
}

func call[Request, Response any](ctx context.Context, c *Client,
	method func(context.Context, *Request, ...grpc.CallOption) (*Response, error), request *Request) (*Response, error) {
	ctx, cancel := context.WithTimeout(c.withToken(ctx), c.options.Timeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	for attempt := 1; ; attempt++ {
		response, err := method(ctx, request)
		if err == nil {
			return response, nil
		}
		e := fromGRPC(err, attempt)
		pause := c.options.pause(attempt, e.RetryDelay)
		// Waiting past the deadline would only replace this error by a less telling one.
		if !e.IsRetryable() || attempt >= c.options.MaxAttempts || time.Now().Add(pause).After(deadline) {
			return nil, e
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done(): // the caller gave up
			return nil, e
		}
	}
}

func readCredentials(options Options) (credentials.TransportCredentials, error) {
	if options.TLSCA == "" {
		if options.TLSCert != "" || options.TLSKey != "" {
			return nil, failure(codes.InvalidArgument, "TLSCert and TLSKey need TLSCA")
		}
		return insecure.NewCredentials(), nil
	}
	pem, err := os.ReadFile(options.TLSCA)
	if err != nil {
		return nil, failure(codes.InvalidArgument, "%v", err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, failure(codes.InvalidArgument, "%s: expected PEM with a certificate", options.TLSCA)
	}
	if options.TLSCert != "" {
		own, err := tls.LoadX509KeyPair(options.TLSCert, options.TLSKey)
		if err != nil {
			return nil, failure(codes.InvalidArgument, "%s, %s: %v", options.TLSCert, options.TLSKey, err)
		}
		config.Certificates = []tls.Certificate{own}
	}
	return credentials.NewTLS(config), nil
}

func randomID() string {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		panic(err) // the system has no randomness
	}
	return hex.EncodeToString(id[:])
}
