#!/bin/sh
# Sees to it that what the build needs beside a Rust toolchain is there: a C++ compiler, libclang (for the bindings to
# RocksDB), ccache if it can be had, and a NATS server, PostgreSQL and what checks the deployment for the tests. Quick when everything is there, and then without
# network. What cannot be in a package list is written to .tools/env.mk, which the Makefile includes.
set -eu
cd "$(dirname "$0")/.."
mkdir -p .tools
env_file=.tools/env.mk.$$
trap 'rm -f "$env_file"' EXIT
: >"$env_file"

say() { echo "tools: $*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }
have_pip() { python3 -m pip --version >/dev/null 2>&1; }

# When make calls, its environment has what the last run wrote; decide afresh, or every second run would undo the first.
ours() { grep -qxF "export $1" .tools/env.mk 2>/dev/null; }
if ours "RUSTUP_TOOLCHAIN ?= ${RUSTUP_TOOLCHAIN:-}"; then unset RUSTUP_TOOLCHAIN; fi
if ours "LIBCLANG_PATH := ${LIBCLANG_PATH:-}"; then unset LIBCLANG_PATH; fi
if ours "BINDGEN_EXTRA_CLANG_ARGS := ${BINDGEN_EXTRA_CLANG_ARGS:-}"; then unset BINDGEN_EXTRA_CLANG_ARGS; fi

# ---- the toolchain ----------------------------------------------------------------------------------------------
# rust-toolchain.toml pins a version, and rustup wants it installed under exactly that name. A machine without network
# may have the same compiler under another name ("stable"), or a newer one: use that.
wanted=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)

at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

toolchain_under_another_name() {
    newer=
    for name in $(rustup toolchain list 2>/dev/null | cut -d ' ' -f 1); do
        version=$(RUSTUP_TOOLCHAIN="$name" rustc --version 2>/dev/null | cut -d ' ' -f 2) || continue
        case $version in
        "$wanted") echo "$name" && return ;;
        '' | *-*) ;; # nightly and beta do not stand in for a release
        *) if at_least "$wanted" "$version"; then newer=$name; fi ;;
        esac
    done
    echo "$newer"
}

check_toolchain() {
    if ! have cargo; then
        say "there is no cargo on the PATH; install Rust $wanted or newer (https://rustup.rs)"
        exit 1
    fi
    if problem=$(cargo --version 2>&1 >/dev/null); then return; fi
    substitute=$(toolchain_under_another_name)
    if [ -z "$substitute" ]; then
        say "Rust $wanted, which rust-toolchain.toml asks for, is not installed and cannot be fetched:"
        echo "$problem" | head -n 2 | sed 's/^/    /' >&2
        say "when there is a network, run:  rustup toolchain install $wanted --component clippy --component rustfmt"
        exit 1
    fi
    say "Rust $wanted is not installed under that name; using the toolchain $substitute"
    say "for cargo without make:  export RUSTUP_TOOLCHAIN=$substitute"
    echo "export RUSTUP_TOOLCHAIN ?= $substitute" >>"$env_file"
}

# ---- compiler and libclang --------------------------------------------------------------------------------------
have_libclang() { # where bindgen looks: LIBCLANG_PATH, then the usual folders
    for file in "${LIBCLANG_PATH:-/nonexistent}" "${LIBCLANG_PATH:-/nonexistent}"/libclang.so* \
        /usr/lib/llvm*/lib/libclang.so* /usr/lib/llvm*/lib/libclang-[0-9]*.so* \
        /usr/lib/*/libclang.so* /usr/lib/*/libclang-[0-9]*.so* /usr/lib/libclang.so* /usr/lib64/libclang.so* \
        /usr/lib64/llvm*/lib*/libclang.so* /usr/local/lib/libclang.so* /usr/local/llvm*/lib*/libclang.so*; do
        if [ -f "$file" ]; then return 0; fi
    done
    return 1
}

have_clang_headers() { # stddef.h and its like, which come with clang and not with libclang itself
    for file in /usr/lib/llvm*/lib/clang/*/include/stddef.h /usr/lib*/clang/*/include/stddef.h \
        /usr/local/lib/clang/*/include/stddef.h; do
        if [ -f "$file" ]; then return 0; fi
    done
    return 1
}

have_postgres() { # where the tests look: POSTGRES_BIN, the PATH, Debian's folders
    for folder in "${POSTGRES_BIN:-/nonexistent}" /usr/lib/postgresql/*/bin; do
        if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; then return 0; fi
    done
    have initdb && have postgres
}

missing_packages() {
    if ! have g++; then echo g++; fi
    if ! have_libclang; then echo libclang-dev; fi
    if ! have_pip; then echo python3-pip; fi
    if ! have ccache; then echo ccache; fi
    if ! have_postgres; then echo postgresql; fi
}

no_cluster() { # Debian's package would make a database and start it; the tests make their own
    if [ -e /etc/postgresql-common ] || have_postgres; then return; fi
    mkdir -p /etc/postgresql-common
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
}

install_packages() { # tried once: what is still missing then has a way round, or is named below
    packages=$(missing_packages | tr '\n' ' ')
    if [ -z "$packages" ] || ! have apt-get; then return; fi
    if [ "$(id -u)" != 0 ]; then
        if [ ! -e .tools/apt-tried ]; then say "missing; please run:  sudo apt-get install $packages"; fi
    elif [ ! -e .tools/apt-tried ] || ! have g++ || ! have_postgres; then
        say "installing $packages"
        export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
        no_cluster
        # shellcheck disable=SC2086 # lists of words
        install="apt-get install -y --no-install-recommends $packages"
        $install >.tools/apt.log 2>&1 ||
            { apt-get update >>.tools/apt.log 2>&1 && $install >>.tools/apt.log 2>&1; } ||
            say "apt-get failed; see .tools/apt.log"
    fi
    touch .tools/apt-tried
}

fetch_libclang() { # the same library from PyPI, for machines where nobody may install packages
    folder=$PWD/.tools/libclang/clang/native
    if [ ! -f "$folder/libclang.so" ]; then
        say "fetching libclang from PyPI"
        if ! have_pip || ! python3 -m pip install --quiet --root-user-action ignore --no-deps --target .tools/libclang libclang==18.1.1 >&2; then
            say "libclang is missing, which the bindings to RocksDB need; please run:  sudo apt-get install libclang-dev"
            exit 1
        fi
    fi
    echo "export LIBCLANG_PATH := $folder" >>"$env_file"
}

check_compiler() {
    install_packages
    if ! have g++ && ! { have c++ || [ -n "${CXX:-}" ]; }; then
        say "there is no C++ compiler; please run:  sudo apt-get install g++"
        exit 1
    fi
    if ! have_libclang; then fetch_libclang; fi
    if ! have_clang_headers && [ -z "${BINDGEN_EXTRA_CLANG_ARGS:-}" ] && have gcc; then
        echo "export BINDGEN_EXTRA_CLANG_ARGS := -isystem$(gcc -print-file-name=include)" >>"$env_file"
    fi
}

check_toolchain
check_compiler
mv "$env_file" .tools/env.mk

# ---- the NATS server, which only tests and the example need -----------------------------------------------------
if [ -x tools/nats-server.sh ]; then
    tools/nats-server.sh || say "no NATS server: the tests against it will fail, and the example needs NATS=off"
fi

# ---- what the deployment is checked with, which only tests need --------------------------------------------------
if [ -x tools/deploy-checks.sh ]; then
    tools/deploy-checks.sh || say "the tests of deploy/ will fail"
fi

# ---- schemathesis, which one test asks whether the server's description is true ----------------------------------
schemathesis=4.32.5
if [ "$(cat .tools/schemathesis/version 2>/dev/null)" != "$schemathesis" ]; then
    say "fetching schemathesis from PyPI"
    rm -rf .tools/schemathesis
    if have_pip && python3 -m pip install --quiet --root-user-action ignore --target .tools/schemathesis "schemathesis==$schemathesis" >&2; then
        echo "$schemathesis" >.tools/schemathesis/version
    else
        say "no schemathesis: a test of the server will fail; it needs python3 3.10 or newer with pip"
    fi
fi

# ---- PostgreSQL, which only tests need --------------------------------------------------------------------------
if ! have_postgres; then
    say "no PostgreSQL: the tests against it will fail; please run:  sudo apt-get install postgresql"
    say "or set POSTGRES_BIN to the folder of another one's initdb and postgres"
fi
