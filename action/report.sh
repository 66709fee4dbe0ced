#!/usr/bin/env bash
# Runs `mlbuild report`, writes the job's summary, and tells ok, psnr, size and folder as outputs.
set -euo pipefail

folder=$(mktemp -d "$RUNNER_TEMP/mlbuild-report.XXXXXX")
arguments=(
  "--samples=$SAMPLES" "--limit=$LIMIT" "--fail-on=$FAIL_ON" --check
  --format markdown --output "$folder/report.md"
  --also "html=$folder/report.html" --also "json=$folder/report.json" --also "badge=$folder/badge.json"
)
if [ -n "$SOURCE" ]; then arguments+=("--source=$SOURCE"); fi
if [ -n "$BASE" ]; then arguments+=("--against=$BASE"); fi
if [ -n "$MIN_PSNR" ]; then arguments+=("--min-psnr=$MIN_PSNR"); fi
if [ "$TRUST" = true ]; then arguments+=(--trust); fi

code=0
"$RUNNER_TEMP/mlbuild/bin/mlbuild" report "${arguments[@]}" -- "$MODEL" || code=$?
if [ "$code" -ne 0 ] && [ "$code" -ne 5 ]; then exit "$code"; fi # 5: it was looked at, and it fails

cat "$folder/report.md" >> "$GITHUB_STEP_SUMMARY"
{
  echo "ok=$([ "$code" -eq 0 ] && echo true || echo false)"
  echo "folder=$folder"
  # Numbers and nothing else: names in the report are whatever the model's author wrote.
  "$RUNNER_TEMP/mlbuild/bin/python" -I -c '
import json, sys
found = json.load(open(sys.argv[1], encoding="utf-8"))
psnr = found["psnr_db"]
print("psnr=" + ("" if psnr is None else format(float(psnr), ".1f")))
print("size=" + str(int(found["size_bytes"])))
' "$folder/report.json"
} >> "$GITHUB_OUTPUT"
