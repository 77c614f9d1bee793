#!/usr/bin/env bash
# Seeded bugs, one at a time, in a copy of the sources: tests/mutations/*.patch. Each names the cheapest tests that must catch it;
# they are run, and must fail. Without any bug they must pass. At the end stands a table, in target/mutations/table.md too.
#
#   tools/mutations.sh             all of them
#   tools/mutations.sh key index   those whose name has one of these words in it
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$root/target/mutations
sources=$work/sources
export CARGO_TARGET_DIR=$work/target RUST_BACKTRACE=0 PROPTEST_FAILURE_PERSISTENCE=off
# The same stores each time; nothing is kept of those that fail.
export ANNALIST_SEED=${ANNALIST_SEED:-1} ANNALIST_CRASH_STORES=${ANNALIST_CRASH_STORES:-60} ANNALIST_CRASH_KEEP=0
# Always the same packages and features, so that nothing but what was changed is compiled again; no server, no broker.
build=(--package tests --package annalist-store --no-default-features)
# A test that does not end has noticed nothing: it might only be slow.
longest=900

patches=()
for patch in "$root"/tests/mutations/*.patch; do
	name=$(basename "$patch" .patch)
	if [ $# -eq 0 ]; then patches+=("$patch"); fi
	for word in "$@"; do
		case $name in *"$word"*) patches+=("$patch") && break ;; esac
	done
done
[ ${#patches[@]} -gt 0 ] || { echo "no mutation has such a name" >&2; exit 2; }

rm -rf "$sources" && mkdir -p "$sources" "$work/logs"
# With their times: what has not changed since the last run is not compiled again.
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
	if [ -f "$file" ]; then printf '%s\0' "$file"; fi
done | tar --null --files-from=- -cf - | tar -xf - -C "$sources"
# Cargo reads that of the repository too, and would add the same flags again.
rm -rf "$sources/.cargo"
cd "$sources"
# Newer than what an earlier run may have built from a bug.
sed -n 's|^+++ b/||p' "$root"/tests/mutations/*.patch | sort -u | xargs touch

field() { sed -n "s/^$1: //p" "$2"; }

# Runs the tests of a suite; their output goes into a log. 0: they pass, 1: they fail, 2: they do not compile, 3: they do not end.
run() {
	local log=$2
	local -a suite
	read -ra suite <<<"$1"
	if [ "${suite[0]}" != --package ]; then suite=("${build[@]}" "${suite[@]}"); fi
	timeout 1800 cargo test --quiet "${suite[@]}" --no-run >"$log" 2>&1 || return 2
	local status=0
	timeout $longest cargo test "${suite[@]}" >>"$log" 2>&1 || status=$?
	case $status in 0) return 0 ;; 124) return 3 ;; *) return 1 ;; esac
}

# All must apply before any is built: a bug whose place has changed must be written anew.
for patch in "${patches[@]}"; do
	patch --strip=1 --fuzz=0 --dry-run --silent <"$patch" || { echo "$patch does not apply: write it anew" >&2; exit 2; }
done

for patch in "${patches[@]}"; do field Suite "$patch"; done | sort -u | while read -r suite; do
	echo "without a bug: $suite"
	run "$suite" "$work/logs/none.log" || { tail -40 "$work/logs/none.log" >&2; echo "fails without a bug" >&2; exit 2; }
done

missed=0
table=$work/table.md
printf '| bug | caught by | as |\n|---|---|---|\n' >"$table"
for patch in "${patches[@]}"; do
	name=$(basename "$patch" .patch)
	log=$work/logs/$name.log
	suite=$(field Suite "$patch")
	began=$SECONDS
	patch --strip=1 --fuzz=0 --silent <"$patch"
	status=0
	run "$suite" "$log" || status=$?
	test=$(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$log" | head -1)
	said=$(grep -A1 'panicked at' "$log" | sed -n 2p | cut -c1-110 | tr '|' '/' || true)
	case $status in
	0) result="**not caught**" && missed=$((missed + 1)) ;;
	1) result="\`${test:-$suite}\`" ;;
	3) result="**came to no end**" && missed=$((missed + 1)) ;;
	*) result="**does not compile**" && missed=$((missed + 1)) ;;
	esac
	printf '| `%s`: %s | %s | %s |\n' "$name" "$(field Bug "$patch")" "$result" "$said" | tee -a "$table"
	echo "  ($((SECONDS - began)) s)"
	# Back to what it was, and newer than what was built from the bug.
	patch --strip=1 --fuzz=0 --silent --reverse <"$patch"
	sed -n 's|^+++ b/||p' "$patch" | xargs touch
done
echo "${#patches[@]} bugs, $missed not caught"
[ "$missed" -eq 0 ]
