#!/usr/bin/env bash
# Pictures of all pages from the real program, light and dark, at 1280×800, for docs/screenshots; made small with pngquant
# where that is installed. SCALE=2 makes them for displays of twice the density, PARTS=1 the tabs of Recipes, Model and
# Compare too. A second study, of a student, gives its Recipes, Run and Compare as recipes-student-light.png and so on.
# usage: scripts/make_screenshots.sh STUDY.retort [FOLDER [STUDENT.retort]]     (the studies must have been run)
set -euo pipefail
study=$(readlink -f "$1")
cd "$(dirname "$(readlink -f "$0")")/.."
folder=${2:-docs/screenshots}
student=${3:+$(cd "$OLDPWD" && readlink -f "$3")}
gui=${RETORT_GUI:-build/release/bin/retort-gui}
export QT_QPA_PLATFORM=offscreen QT_SCALE_FACTOR=${SCALE:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for theme in light dark; do
  export XDG_CONFIG_HOME=$work/$theme   # the default layout, not the user's
  "$gui" --theme "$theme" --size 1280x800 --screenshots "$folder" --suffix "$theme" ${PARTS:+--parts} \
    --prompt "${PROMPT:-The capital of France is}" "$study"
  [ -n "$student" ] || continue
  "$gui" --theme "$theme" --size 1280x800 --screenshots "$work/student" --suffix "student-$theme" --parts "$student"
  for page in recipes run compare compare-stages; do
    cp "$work/student/$page-student-$theme.png" "$folder"
  done
done
if command -v pngquant > /dev/null; then
  pngquant --skip-if-larger --force --ext .png --quality 70-98 --strip "$folder"/*.png || test $? -eq 98
fi
ls -la "$folder"
