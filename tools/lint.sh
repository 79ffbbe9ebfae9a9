#!/usr/bin/env bash
# Format, layers and spelling of all that git knows; changes nothing. Exit 1 when something is wrong.
# To format: clang-format-14 -i FILE...
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

failed=0
mapfile -t sources < <(git ls-files -- '*.c' '*.h' | while read -r file; do [ -f "$file" ] && echo "$file"; done)
clang-format-14 --dry-run -Werror "${sources[@]}" || failed=1
tools/check_layers.py || failed=1
# Names of fields and words of ours that look like mistakes stand in tools/words.txt.
git ls-files -- ':!LICENSE' ':!tests/fuzz/corpus' ':!*/go.sum' | while read -r file; do [ -f "$file" ] && echo "$file"; done |
    xargs codespell --ignore-words tools/words.txt || failed=1
[ "$failed" = 0 ] && echo "lint: nothing found"
exit "$failed"
