#!/bin/sh
# 69,659 real purchases in one command, and again: nothing counts twice. Run it from the clone, on an empty folder:
#     PATH=.venv/bin:$PATH sh examples/03-cdnow/import.sh DATA
# Beside a running server it works the same; what should come out stands in ../data/cdnow.README.md.
set -eu
cd "$(dirname "$0")/.."

echo '$ troth program apply programs/cdnow-a.yaml'
troth program apply programs/cdnow-a.yaml --yes --data "$1" >/dev/null

echo '$ troth import data/cdnow_events.csv.gz'
troth import data/cdnow_events.csv.gz --data "$1"

echo '$ troth import data/cdnow_events.csv.gz'
troth import data/cdnow_events.csv.gz --data "$1"

echo '$ troth verify'
troth verify --data "$1"
