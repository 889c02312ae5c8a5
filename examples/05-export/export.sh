#!/bin/sh
# What is recorded, as files: for a spreadsheet, for a warehouse, for another installation. Run it from the clone, on an
# empty folder:
#     PATH=.venv/bin:$PATH sh examples/05-export/export.sh DATA
# Beside a running server it works the same; over HTTP it is POST /v1/exports, GET /v1/exports/{id} and …/{id}/file.
set -eu
cd "$(dirname "$0")"
files=$(mktemp -d)
trap 'rm -r "$files"' EXIT
# An export holds what was recorded up to two minutes ago. Nobody else writes here, so up to now is safe.
export TROTH_EXPORT_MARGIN_SECONDS=0

echo '$ troth import purchases.csv'
troth import purchases.csv --data "$1"

echo
echo '$ troth export events --filter type=purchase --columns … --out events.csv'
troth export events --filter type=purchase --out "$files/events.csv" --data "$1" 2>/dev/null \
    --columns customer,reference,properties.amount,properties.category,troth_points | sed "s|$files/||"
cat "$files/events.csv"

echo
echo '$ troth export postings --format ndjson --columns … --filter customer=ada --out postings.ndjson'
troth export postings --format ndjson --filter customer=ada --out "$files/postings.ndjson" --data "$1" 2>/dev/null \
    --columns customer,occurred_at,wallet,from_state,to_state,points,rule,base | sed "s|$files/||"
cat "$files/postings.ndjson"

echo
echo '$ troth export events --filter importable=true --formulas keep --compression gzip --out all.csv.gz'
troth export events --filter importable=true --formulas keep --compression gzip --out "$files/all.csv.gz" \
    --data "$1" 2>/dev/null | sed "s|$files/||; s/, .*/./"
echo '$ troth import all.csv.gz'
troth import "$files/all.csv.gz" --data "$1"
