#!/usr/bin/env bash
# Makes the Go package of proto/ in generated/. Needs protoc; the generators for Go are built from the versions in go.mod.
set -euo pipefail
cd "$(dirname "$0")"
module=$(sed -n 's/^module //p' go.mod)
tools=$PWD/generated/tools
mkdir -p "$tools"
go build -o "$tools/" google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
# google.rpc.Status is taken from Google's own package: a Go program may hold one copy of it only, and gRPC has it already.
files=(Mgoogle/rpc/error.proto=google.golang.org/genproto/googleapis/rpc/status)
protos=(offerd/v1/{types,lists,offer_service,feedback_service}.proto)
for proto in "${protos[@]}"; do files+=("M$proto=$module/generated/offerdv1"); done
go_options=("${files[@]/#/--go_opt=}")
grpc_options=("${files[@]/#/--go-grpc_opt=}")
PATH=$tools:$PATH protoc -I../../proto --go_out=. --go_opt=module="$module" "${go_options[@]}" \
  --go-grpc_out=. --go-grpc_opt=module="$module" "${grpc_options[@]}" "${protos[@]}"
