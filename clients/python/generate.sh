#!/usr/bin/env bash
# Makes the Python modules of proto/ in generated/, with the Python given as PYTHON (default: python3).
set -euo pipefail
cd "$(dirname "$0")"
rm -rf generated
mkdir generated
"${PYTHON:-python3}" -m grpc_tools.protoc -I../../proto -I../proto --python_out=generated --grpc_python_out=generated \
  google/rpc/error.proto offerd/v1/{types,lists,offer_service,feedback_service}.proto retry_info.proto
