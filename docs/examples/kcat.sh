#!/usr/bin/env bash
# Sends a prompt with kcat, and reads the topic back.
#   docs/examples/kcat.sh localhost:9092 SCHEMAS
# SCHEMAS is the directory that `millrace schemas --out SCHEMAS` wrote. Needs kcat and python3 with avro.
set -euo pipefail
servers="$1"
schemas="$2"
python="$(dirname "$0")/python"
value="$(mktemp)"
trap 'rm -f "$value"' EXIT

# kcat sends bytes as they are: encode.py frames and encodes the record.
"${PYTHON:-python3}" "$python/encode.py" "$schemas" prompts > "$value" <<'JSON'
{"promptId": "kcat-1", "dialogue": [{"role": "USER", "content": "What is the capital of France?"}],
 "isSafety": false, "source": "docs", "time": 1767323045678}
JSON
# A file as argument is one message; -k is its key, the prompt's id.
kcat -P -b "$servers" -t millrace.prompts -k kcat-1 "$value"

# -e ends at the end of the topic. %R%s prints the value's length in 4 bytes, then the value.
kcat -C -b "$servers" -t millrace.prompts -o beginning -e -q -X isolation.level=read_committed -f '%R%s' \
  | "${PYTHON:-python3}" "$python/decode.py" "$schemas" prompts
