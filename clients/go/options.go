// Package offerd is a thin client of offerd: README.md beside it shows how to use it.
package offerd

import (
	"math/rand"
	"time"
)

// Options is what a client may be told; the zero value of a field means its default. Files are PEM.
type Options struct {
	Server            string        // host:port; default 127.0.0.1:7070
	Token             string        // sent as "authorization: Bearer TOKEN"
	TLSCA             string        // authority that signed the server's certificate; empty = plain text
	TLSCert           string        // the caller's own certificate and key, for a server that asks for one
	TLSKey            string        //
	Timeout           time.Duration // of one call, all its attempts and pauses together; default 10 s
	MaxAttempts       int           // default 5
	FirstBackoff      time.Duration // before the second attempt; doubles, halved at random at most; default 100 ms
	MaxBackoff        time.Duration // default 5 s
	MaxUnacknowledged int           // batches that a feedback stream keeps; default 1000
	AckTimeout        time.Duration // without an acknowledgement a feedback stream then connects anew; default 10 s
}

func (o Options) withDefaults() Options {
	setIfZero(&o.Server, "127.0.0.1:7070")
	setIfZero(&o.Timeout, 10*time.Second)
	setIfZero(&o.MaxAttempts, 5)
	setIfZero(&o.FirstBackoff, 100*time.Millisecond)
	setIfZero(&o.MaxBackoff, 5*time.Second)
	setIfZero(&o.MaxUnacknowledged, 1000)
	setIfZero(&o.AckTimeout, 10*time.Second)
	return o
}

func setIfZero[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}

// pause is the time to wait after the nth failure in a row: doubled each time, somewhere between half and all of it so that callers that
// failed together do not come back together; never shorter than the server asked for.
func (o Options) pause(failures int, retryDelay time.Duration) time.Duration {
	longest := o.MaxBackoff
	if failures <= 30 && o.FirstBackoff<<(failures-1) < longest {
		longest = o.FirstBackoff << (failures - 1)
	}
	pause := time.Duration(float64(longest) * (0.5 + rand.Float64()/2))
	if pause < retryDelay {
		return retryDelay
	}
	return pause
}
