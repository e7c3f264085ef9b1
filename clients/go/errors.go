package offerd

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Error is a call that failed for good: what could be repeated was.
type Error struct {
	Code         codes.Code
	Message      string
	Attempts     int // 0: nothing was sent
	Violations   []Violation
	RetryDelay   time.Duration // that the server asked to wait
	IsBufferFull bool          // of FeedbackStream.Send: nothing was taken
}

// Violation names a field of the request, by its path, and what is wrong with it.
type Violation struct{ Field, Description string }

func (e *Error) Error() string {
	text := e.CodeName() + ": " + e.Message
	if e.Attempts > 0 {
		text += fmt.Sprintf(" (attempts: %d)", e.Attempts)
	}
	return text
}

// CodeName is the code as the other languages and the server's metrics write it, for example INVALID_ARGUMENT.
func (e *Error) CodeName() string {
	if e.Code == codes.Canceled {
		return "CANCELLED" // Go's package alone spells it with one L
	}
	var name strings.Builder
	for i, letter := range e.Code.String() {
		if i > 0 && letter >= 'A' && letter <= 'Z' {
			name.WriteByte('_')
		}
		name.WriteRune(letter)
	}
	return strings.ToUpper(name.String())
}

// IsRetryable says whether a repeat may help.
func (e *Error) IsRetryable() bool {
	return e.Code == codes.Unavailable || e.Code == codes.ResourceExhausted
}

func failure(code codes.Code, format string, arguments ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, arguments...)}
}

func fromGRPC(err error, attempts int) *Error {
	answer := status.Convert(err)
	e := &Error{Code: answer.Code(), Message: answer.Message(), Attempts: attempts}
	for _, detail := range answer.Details() {
		switch detail := detail.(type) {
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				e.Violations = append(e.Violations, Violation{violation.GetField(), violation.GetDescription()})
			}
		case *errdetails.RetryInfo:
			e.RetryDelay = detail.GetRetryDelay().AsDuration()
		}
	}
	return e
}
