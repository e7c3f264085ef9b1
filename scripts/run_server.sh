# Sourced by scripts: start_server CONFIG LOG sets server_pid, server_port and metrics_port once offerd is ready;
# stop_server drains it. $bin is the folder of the binaries.
start_server() {
  "$bin/offerd" --config "$1" 2>"$2" &
  server_pid=$!
  until grep -q '"event":"ready"' "$2" 2>/dev/null; do
    if ! kill -0 "$server_pid" 2>/dev/null; then
      echo "offerd did not start:" >&2
      cat "$2" >&2
      return 1
    fi
    sleep 0.05
  done
  server_port=$(sed -n 's/.*"event":"ready".*,"port":\([0-9]*\)[,}].*/\1/p' "$2")
  metrics_port=$(sed -n 's/.*"event":"ready".*"metrics_port":\([0-9]*\).*/\1/p' "$2")
  echo "offerd is ready: gRPC 127.0.0.1:$server_port, metrics http://127.0.0.1:$metrics_port/metrics"
}

stop_server() {
  [ -n "${server_pid:-}" ] || return 0
  kill "$server_pid" 2>/dev/null || true
  wait "$server_pid" 2>/dev/null || true
  server_pid=
}
