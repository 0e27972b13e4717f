#!/usr/bin/env bash
# Pictures of all pages from the real program, light and dark, at 1280×800 and at scale 2, for docs/screenshots.
# usage: scripts/make_screenshots.sh STUDY.retort [FOLDER]     (the study must have been run)
set -euo pipefail
study=$(readlink -f "$1")
cd "$(dirname "$(readlink -f "$0")")/.."
folder=${2:-docs/screenshots}
gui=${RETORT_GUI:-build/release/bin/retort-gui}
export QT_QPA_PLATFORM=offscreen
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_CONFIG_HOME=$work   # default layout, not the user's
for theme in light dark; do
  "$gui" --theme "$theme" --size 1280x800 --screenshots "$folder" --suffix "$theme" --prompt "The capital of France is" "$study"
  QT_SCALE_FACTOR=2 "$gui" --theme "$theme" --size 1280x800 --screenshots "$folder" --suffix "$theme@2x" --prompt "The capital of France is" "$study"
done
ls -la "$folder"
