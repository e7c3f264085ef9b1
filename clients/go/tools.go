//go:build tools

// Keeps the code generators in go.mod, so that their versions are pinned like the libraries'.
package offerd

import (
	_ "google.golang.org/grpc/cmd/protoc-gen-go-grpc"
	_ "google.golang.org/protobuf/cmd/protoc-gen-go"
)
