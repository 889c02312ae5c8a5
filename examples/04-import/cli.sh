#!/bin/sh
# The same file on the command line, then the rejected row mended. Run it from the clone, on an empty folder:
#     PATH=.venv/bin:$PATH sh examples/04-import/cli.sh DATA
# Beside a running server it works the same.
set -eu
cd "$(dirname "$0")"
iconv -f UTF-8 -t WINDOWS-1252 till.csv >"$1.csv" # as tills write it
columns="--map Kunde=customer --map Bon=reference --map Zeit=occurred_at --map Betrag=properties.amount --map Ort=properties.city --map Notiz=-"

echo '$ troth import till.csv --type purchase --map Kunde=customer … --rejected rejected.csv'
troth import "$1.csv" --type purchase $columns --rejected "$1.rejected.csv" --data "$1" 2>&1 | sed 's#in .*rejected.csv and#in rejected.csv and#'

echo '$ cat rejected.csv'
cat "$1.rejected.csv"

echo '$ sed -i s/abc/12.00/ rejected.csv && troth import rejected.csv …'
sed -i s/abc/12.00/ "$1.rejected.csv"
troth import "$1.rejected.csv" --type purchase $columns --data "$1"
