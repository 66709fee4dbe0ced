#!/usr/bin/env bash
# Puts the badge's JSON on a branch of its own, beside what lies there; touches no checkout.
#
#   BRANCH  where to
#   MODEL   whose badge it is: Dogs.mlpackage becomes badges/Dogs.json
#   FOLDER  where badge.json lies
set -euo pipefail

git check-ref-format "refs/heads/$BRANCH" || { echo "::error::badge is no branch's name"; exit 2; }
name=$(basename -- "$MODEL")
name=${name%.*}
export GIT_INDEX_FILE=$RUNNER_TEMP/mlbuild-badge-index
export GIT_AUTHOR_NAME="github-actions[bot]" GIT_COMMITTER_NAME="github-actions[bot]"
address="41898282+github-actions[bot]@users.noreply.github.com"
export GIT_AUTHOR_EMAIL=$address GIT_COMMITTER_EMAIL=$address

for attempt in 1 2 3; do # another job may push between our fetch and our push
  parent=()
  rm -f "$GIT_INDEX_FILE"
  if git fetch --quiet --no-tags --depth=1 origin "+refs/heads/$BRANCH:refs/mlbuild/badge" 2> /dev/null; then
    parent=(-p refs/mlbuild/badge)
    git read-tree refs/mlbuild/badge
  fi
  blob=$(git hash-object -w "$FOLDER/badge.json")
  git update-index --add --cacheinfo "100644,$blob,badges/$name.json"
  tree=$(git write-tree)
  if [ "${#parent[@]}" -gt 0 ] && [ "$tree" = "$(git rev-parse 'refs/mlbuild/badge^{tree}')" ]; then
    exit 0
  fi
  commit=$(git commit-tree "$tree" "${parent[@]+"${parent[@]}"}" -m "Badge of $name")
  if git push --quiet origin "$commit:refs/heads/$BRANCH"; then exit 0; fi
  sleep "$attempt"
done
echo "::error::the badge could not be pushed to its branch (needs contents: write)"
exit 1
