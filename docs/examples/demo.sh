#!/usr/bin/env bash
# The main job from nothing to an exported model, in ./demo and in nothing else.
set -eu  # no pipefail: head closes the pipe of ls early, and that is right
root="$PWD"
rm -rf demo && mkdir demo && cd demo
export CRNNOCR_DATA_DIR="$PWD/store"

run() {
    printf '\n$ crnnocr %s\n' "$*"
    crnnocr "$@"
}

run synth --count 987 --lang en
run train data/
run eval data/
cp "$(ls data/*.png | head -n 1)" crop.png
run predict crop.png
run predict crop.png --beam 5
printf '\n$ ls data/*.png | head | crnnocr predict --files-from -\n'
ls data/*.png | head | crnnocr predict --files-from -
cp -r "$root/tests/data/real" real
run eval real/ --beam 5
run export
run synth unseen --count 12 --lang en --seed 7
crnnocr predict --quiet --beam 5 unseen real --format jsonl >readings.jsonl
python "$root/docs/examples/sheet.py" readings.jsonl readings.png
printf '\nPictures next to what was read: %s/readings.png\n' "$PWD"
