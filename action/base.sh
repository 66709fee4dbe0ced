#!/usr/bin/env bash
# Finds the commit to compare with and sees that this clone has it; tells it as the output `commit`.
#
#   ASKED  the input: a revision, `none`, or nothing
#   EVENT  what the event says: a pull request's base, or the branch before a push
set -euo pipefail

base=${ASKED:-$EVENT}
if [ -z "$base" ] || [ "$base" = none ] || [[ $base =~ ^0+$ ]]; then
  echo "commit=" >> "$GITHUB_OUTPUT"
  exit 0
fi
if [[ $base == -* ]]; then
  echo "::error::base is no git revision"
  exit 2
fi

found() { git rev-parse --verify --quiet --end-of-options "$1^{commit}"; }

if ! commit=$(found "$base"); then
  # A clone of one commit stays small; a whole one must not be cut.
  depth=()
  if [ "$(git rev-parse --is-shallow-repository)" = true ]; then depth=(--depth=1); fi
  git fetch --quiet --no-tags "${depth[@]+"${depth[@]}"}" origin -- "$base" || true
  if ! commit=$(found "$base") && ! { [ -n "$ASKED" ] && commit=$(found FETCH_HEAD); }; then
    if [ -n "$ASKED" ]; then
      echo "::error::base: neither this clone nor origin has such a revision"
      exit 2
    fi
    echo "::warning::the version before cannot be fetched, so there is nothing to compare with"
    commit=
  fi
fi
echo "commit=$commit" >> "$GITHUB_OUTPUT"
