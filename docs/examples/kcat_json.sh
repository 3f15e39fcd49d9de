#!/usr/bin/env bash
# Sends a prompt and a judgment as JSON with kcat alone.
#   docs/examples/kcat_json.sh localhost:9092
set -euo pipefail
servers="$1"

# One line of standard input is one message. Fields with a default may be missing.
kcat -P -b "$servers" -t millrace.prompts -k kcat-json-1 -H Content-Type=application/json <<'JSON'
{"promptId": "kcat-json-1", "dialogue": [{"role": "USER", "content": "Wie heißt die Hauptstadt von Frankreich?"}], "source": "docs", "time": "2026-01-02T03:04:05.678Z"}
JSON

# -K divides each line into key and value: many records in one call. JSON has no tab, unless in a string as \t.
printf '%s\t%s\n' kcat-json-1-annotator-7 \
  '{"judgmentId": "kcat-json-1-annotator-7", "objective": "HELPFULNESS", "dialogue": [{"role": "USER", "content": "Hi"}], "responseA": {"text": "Hello."}, "responseB": {"text": "No."}, "preferred": "A", "rating": "BETTER", "annotator": "annotator-7"}' \
  | kcat -P -b "$servers" -t millrace.judgments -K $'\t'
