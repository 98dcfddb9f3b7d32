#!/usr/bin/env bash
# Check the libraries in a wheel for x86-64 Linux: versions of symbols, none without, and what they need.
#
#   tools/check_symbols.sh dist/reann-0.2.0-cp312-abi3-manylinux_2_28_x86_64.whl
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m zipfile -e "$1" "$folder"
fail() { echo "$1" >&2; exit 1; }
for library in "$folder"/reann/native/*.so; do
    name=$(basename "$library")
    symbols=$(objdump -T "$library" | grep -F '*UND*')
    newest=$(grep -oE 'GLIBC_[0-9.]+' <<<"$symbols" | sort -uV | tail -1)
    test "$(printf 'GLIBC_2.28\n%s\n' "$newest" | sort -V | tail -1)" = GLIBC_2.28 ||
        fail "$name needs $newest."
    grep -qE 'GLIBCXX|CXXABI' <<<"$symbols" && fail "$name needs libstdc++.so.6."
    without=$(grep -v '(' <<<"$symbols" | grep -v ' w ' | grep -vE ' _?Py' || true)
    test -z "$without" || fail "$name has symbols that glibc 2.28 lacks: $without"
    needed=$(readelf -d "$library" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | sort | tr '\n' ' ')
    case "$name" in _core*) [[ $needed == *libgomp.so.1* ]] || fail "$name has no OpenMP." ;; esac
    echo "$name: at most $newest, needs $needed"
done
