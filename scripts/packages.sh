#!/usr/bin/env bash
# Installs the Debian packages that are missing. usage: scripts/packages.sh build|test
# Prints nothing when all are there. Exit code 1 with a sentence about what to do otherwise.
set -euo pipefail

build=(g++ cmake ninja-build pkg-config git ca-certificates
       qt6-base-dev qt6-svg-dev libqt6svg6 libqcustomplot-dev libgl-dev fonts-dejavu-core
       libdnnl-dev libeigen3-dev libfmt-dev nlohmann-json3-dev libcli11-dev
       libsqlitecpp-dev libsqlite3-dev libssl-dev libutf8proc-dev libpcre2-dev
       python3 python3-pip)
test=("${build[@]}" libsimde-dev desktop-file-utils file)

case "${1:-build}" in
  build) wanted=("${build[@]}") ;;
  test) wanted=("${test[@]}") ;;
  *) echo "usage: scripts/packages.sh build|test" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  cat >&2 <<EOF
This is not a Debian or Ubuntu system, so packages cannot be installed for you.
Next: install the equivalents of these, then run cmake as README.md says:
  ${wanted[*]}
EOF
  exit 1
fi

missing=()
installed=$(dpkg-query -W -f='${Package} ${db:Status-Abbrev}\n' 2>/dev/null | awk '$2 == "ii" {print $1}')
for package in "${wanted[@]}"; do
  grep -qx "$package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "Installing ${#missing[@]} packages: ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "Next: as root, run: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
if ! "${as_root[@]}" apt-get update -qq ||
   ! "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/tmp/retort-packages.log 2>&1; then
  tail -n 5 /tmp/retort-packages.log >&2 || true
  cat >&2 <<EOF
The packages could not be installed: is there a network, and does this release have them (Debian 12, 13; Ubuntu 24.04)?
Next: run this again with a network, or install by hand: ${missing[*]}
EOF
  exit 1
fi
