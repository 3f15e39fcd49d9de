#!/usr/bin/env bash
# Registers the schema of a topic with curl, and prints its id.
#   docs/examples/curl_registry.sh http://localhost:8081 SCHEMAS judgments
# SCHEMAS is the directory that `millrace schemas --out SCHEMAS` wrote. Needs curl and python3, which quotes the schema.
set -euo pipefail
registry="$1"
schemas="$2"
topic="$3"

python3 -c 'import json, sys; print(json.dumps({"schema": sys.stdin.read()}))' < "$schemas/$topic.avsc" \
  | curl -sS --fail-with-body -X POST -H 'Content-Type: application/vnd.schemaregistry.v1+json' --data-binary @- \
      "$registry/subjects/millrace.$topic-value/versions"
echo
