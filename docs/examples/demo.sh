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

run synth --count 6000 --lang en
run train data/ --minutes 9
run eval data/
cp "$(ls data/*.png | head -n 1)" crop.png
run predict crop.png
run predict crop.png --beam 5
printf '\n$ ls data/*.png | head | crnnocr predict --files-from -\n'
ls data/*.png | head | crnnocr predict --files-from -
run export

printf '\nPictures that the model has never seen, drawn like those it learnt from:\n'
run synth unseen --count 24 --lang en --seed 7
run eval unseen --beam 5
printf '\nReal scans, read by a model that has seen drawn pictures alone, and for some minutes:\n'
cp -r "$root/tests/data/real" real
run eval --quiet real --beam 5

crnnocr predict --quiet --beam 5 unseen --format jsonl >unseen.jsonl
crnnocr predict --quiet --beam 5 real --format jsonl >real.jsonl
python "$root/docs/examples/sheet.py" readings.png \
    "Drawn, and never seen in training (truth at the right where it differs)=unseen.jsonl" \
    "Real scans; the model has seen drawn pictures alone=real.jsonl"
printf '\nPictures next to what was read: %s/readings.png\n' "$PWD"
