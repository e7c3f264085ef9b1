package offerd

import (
	"context"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	v1 "offerd.example/clients/go/generated/offerdv1"
)

// Counts are of events, but for Reconnects.
type Counts struct {
	Acknowledged int64
	Applied      int64
	Duplicate    int64 // the server had them already: counted once all the same
	Other        int64 // late, orphan or refused: onAcknowledged tells which
	Reconnects   int64
}

// FeedbackStream keeps every batch until the server acknowledges it. A connection that breaks is made anew, for as long as the stream
// lives, and what was not acknowledged is sent again in order; the server recognises repeats by their event id. An error that no repeat
// can cure ends the stream: Send and Flush return it, and Unacknowledged has what was not taken. Safe for concurrent use.
type FeedbackStream struct {
	client         *Client
	onAcknowledged func(*v1.FeedbackBatch, *v1.FeedbackAcknowledgement)
	done           chan struct{} // closed when run has ended

	mu           sync.Mutex
	changed      chan struct{}       // closed and replaced at every change of what follows
	batches      []*v1.FeedbackBatch // unacknowledged, oldest first
	written      int                 // of batches, into the present connection
	nextSequence int64
	counts       Counts
	progress     time.Time // when the present wait for an acknowledgement began
	connection   int       // number of the present connection; an older one must not touch anything
	isClosing    bool
	failure      *Error // final
	lastError    *Error
}

func newFeedbackStream(client *Client, onAcknowledged func(*v1.FeedbackBatch, *v1.FeedbackAcknowledgement)) *FeedbackStream {
	s := &FeedbackStream{client: client, onAcknowledged: onAcknowledged, done: make(chan struct{}), changed: make(chan struct{}), nextSequence: 1}
	go s.run()
	return s
}

// Send takes one batch and returns its number at once; an Error with IsBufferFull when MaxUnacknowledged batches wait already.
func (s *FeedbackStream) Send(events ...*v1.Event) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return 0, s.failure
	}
	if s.isClosing {
		return 0, failure(codes.FailedPrecondition, "the feedback stream is closed")
	}
	if len(s.batches) >= s.client.options.MaxUnacknowledged {
		full := failure(codes.ResourceExhausted, "%d batches wait for an acknowledgement already%s", len(s.batches), s.lastErrorText())
		full.IsBufferFull = true
		return 0, full
	}
	batch := &v1.FeedbackBatch{ClientSequence: s.nextSequence, Events: events}
	s.nextSequence++
	s.batches = append(s.batches, batch)
	s.announce()
	return batch.ClientSequence, nil
}

// Flush waits until everything sent is acknowledged; DeadlineExceeded after timeout: nothing is lost then.
func (s *FeedbackStream) Flush(timeout time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.wait(timeout, func() bool { return len(s.batches) == 0 || s.failure != nil }) {
		return failure(codes.DeadlineExceeded, "%d batches not acknowledged within %v%s", len(s.batches), timeout, s.lastErrorText())
	}
	if s.failure != nil {
		return s.failure
	}
	return nil
}

// Close is Flush, then the end of the stream, also when Flush fails: what was not acknowledged by then stays in Unacknowledged.
func (s *FeedbackStream) Close(timeout time.Duration) error {
	err := s.Flush(timeout)
	s.mu.Lock()
	s.isClosing = true
	s.progress = time.Now()
	s.announce()
	s.mu.Unlock()
	<-s.done
	return err
}

// Counts so far.
func (s *FeedbackStream) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Unacknowledged batches, oldest first.
func (s *FeedbackStream) Unacknowledged() []*v1.FeedbackBatch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*v1.FeedbackBatch(nil), s.batches...)
}

// announce wakes everybody who waits. mu is held.
func (s *FeedbackStream) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// wait lets mu go until isReady, at most for timeout (negative: for ever), and says whether it is. mu is held.
func (s *FeedbackStream) wait(timeout time.Duration, isReady func() bool) bool {
	var limit <-chan time.Time
	if timeout >= 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		limit = timer.C
	}
	for !isReady() {
		changed := s.changed
		s.mu.Unlock()
		isLate := false
		select {
		case <-changed:
		case <-limit:
			isLate = true
		}
		s.mu.Lock()
		if isLate {
			return isReady()
		}
	}
	return true
}

func (s *FeedbackStream) lastErrorText() string {
	if s.lastError == nil {
		return ""
	}
	return "; last error: " + s.lastError.CodeName() + ": " + s.lastError.Message
}

func (s *FeedbackStream) run() {
	defer close(s.done)
	s.mu.Lock()
	defer s.mu.Unlock()
	for failures := 0; ; {
		s.wait(-1, func() bool { return len(s.batches) > 0 || s.isClosing })
		if s.isClosing {
			return
		}
		acknowledged := s.counts.Acknowledged
		ended := s.runConnection()
		if s.isClosing {
			return
		}
		failures++
		if s.counts.Acknowledged > acknowledged {
			failures = 1
		}
		s.lastError = ended
		// A server that shuts down cancels streams that arrive too late; we cancel none whose end is not known here already.
		if !ended.IsRetryable() && ended.Code != codes.Canceled {
			s.failure = ended
			s.announce()
			return
		}
		if s.wait(s.client.options.pause(failures, ended.RetryDelay), func() bool { return s.isClosing }) {
			return
		}
		s.counts.Reconnects++
	}
}

// runConnection goes from opening to the end of one connection and returns what ended it. mu is held, but while it waits.
func (s *FeedbackStream) runConnection() *Error {
	s.connection++
	connection := s.connection
	s.written = 0
	s.progress = time.Now()
	ctx, cancel := context.WithCancel(s.client.withToken(context.Background()))
	defer cancel()
	var ended *Error
	go func() {
		e := s.talk(ctx, connection)
		s.mu.Lock()
		defer s.mu.Unlock()
		ended = e
		s.connection++ // the writer may go
		s.announce()
	}()

	isStalled := false
	for ended == nil {
		timeout := time.Duration(-1)
		if s.written > 0 || s.isClosing {
			timeout = s.client.options.AckTimeout - time.Since(s.progress)
			isStalled = timeout <= 0
		}
		if isStalled || (s.isClosing && len(s.batches) > 0) { // closing: nobody waits for them any more
			cancel()
			s.wait(-1, func() bool { return ended != nil })
			break
		}
		changed := s.changed
		s.wait(timeout, func() bool { return s.changed != changed })
	}
	if isStalled {
		return failure(codes.Unavailable, "no acknowledgement within %v", s.client.options.AckTimeout)
	}
	return ended
}

// talk opens the connection, writes from a goroutine of its own and takes acknowledgements until the end.
func (s *FeedbackStream) talk(ctx context.Context, connection int) *Error {
	stream, err := s.client.feedback.StreamFeedback(ctx)
	if err != nil {
		return fromGRPC(err, 1)
	}
	go s.writeBatches(stream, connection)
	for {
		acknowledgement, err := stream.Recv()
		if err == io.EOF {
			return failure(codes.Unavailable, "the server ended the stream")
		}
		if err != nil {
			return fromGRPC(err, 1)
		}
		if e := s.take(acknowledgement); e != nil {
			return e
		}
	}
}

func (s *FeedbackStream) writeBatches(stream v1.FeedbackService_StreamFeedbackClient, connection int) {
	for {
		s.mu.Lock()
		s.wait(-1, func() bool { return s.connection != connection || s.written < len(s.batches) || s.isClosing })
		if s.connection != connection {
			s.mu.Unlock()
			return
		}
		if s.written == len(s.batches) {
			s.mu.Unlock()
			_ = stream.CloseSend() // the reader sees the end
			return
		}
		if s.written == 0 {
			s.progress = time.Now()
			s.announce() // from now on there is something to wait for
		}
		batch := s.batches[s.written]
		s.written++
		s.mu.Unlock()
		if stream.Send(batch) != nil {
			return // the reader sees why
		}
	}
}

func (s *FeedbackStream) take(acknowledgement *v1.FeedbackAcknowledgement) *Error {
	s.mu.Lock()
	if s.written == 0 || s.batches[0].ClientSequence != acknowledgement.GetClientSequence() {
		s.mu.Unlock()
		return failure(codes.Internal, "the server acknowledged batch %d out of order", acknowledgement.GetClientSequence())
	}
	batch := s.batches[0]
	s.mu.Unlock()
	if s.onAcknowledged != nil { // before Flush returns, and not under the lock: it may call Send
		s.onAcknowledged(batch, acknowledgement)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches[0] = nil
	s.batches = s.batches[1:]
	s.written--
	s.progress = time.Now()
	s.counts.Acknowledged += int64(len(batch.GetEvents()))
	s.counts.Applied += int64(acknowledgement.GetApplied())
	for _, result := range acknowledgement.GetOthers() {
		if result.GetFate() == v1.Fate_DUPLICATE {
			s.counts.Duplicate++
		} else {
			s.counts.Other++
		}
	}
	s.announce()
	return nil
}
