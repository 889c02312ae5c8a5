#!/bin/sh
# A till's CSV file imported over HTTP: semicolons, Windows-1252, columns with names of their own, one row that is wrong.
#     TROTH_URL=http://127.0.0.1:8000 TROTH_KEY=$(cat .troth/first.key) sh examples/04-import/curl.sh
set -eu
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
iconv -f UTF-8 -t WINDOWS-1252 till.csv >"$folder/till.csv" # as tills write it
cd "$folder"

ask() {
    echo "\$ curl $*"
    curl -sS -H "Authorization: Bearer $TROTH_KEY" "$@"
    echo
    echo
}
url=$TROTH_URL/v1

echo '# The columns of this till, kept under a name.'
ask -X PUT "$url/import-templates/till" -d '{"type": "purchase", "mapping": {"Kunde": "customer", "Bon": "reference", "Zeit": "occurred_at", "Betrag": "properties.amount", "Ort": "properties.city", "Notiz": "-"}}'

echo '# What would the first rows bring? Nothing is stored.'
ask "$url/imports" -F file=@till.csv -F 'options={"template": "till", "dry_run": true}'

echo '# Import it.'
answer=$(ask "$url/imports" -F file=@till.csv -F 'options={"template": "till"}')
echo "$answer"
echo
id=$(echo "$answer" | sed -n 's/.*"id":"\(imp_[0-9a-f]*\)".*/\1/p')

until curl -sS -H "Authorization: Bearer $TROTH_KEY" "$url/imports/$id" | grep -q '"status":"finished'; do sleep 0.2; done
echo '# How it went.'
ask "$url/imports/$id"

echo '# The rejected rows, ready to be mended and sent again: in UTF-8, with line, code and reason.'
ask "$url/imports/$id/errors"

echo '# The file as it was uploaded.'
echo "\$ curl $url/imports/$id/file | cmp - till.csv"
curl -sS -H "Authorization: Bearer $TROTH_KEY" "$url/imports/$id/file" | cmp - till.csv && echo 'the same bytes'
