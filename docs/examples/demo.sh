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

cp -r "$root/tests/data/real" real
printf '\nReal scans, read by the model that comes with crnnocr, with no training:\n'
run predict real --beam 5
run eval real --beam 5

printf '\nA model of your own, which begins where that one is:\n'
run synth --count 3000 --lang en
run train data/ --minutes 4
run eval data/
cp "$(ls data/*.png | head -n 1)" crop.png
run predict crop.png
run predict crop.png --beam 5
printf '\n$ ls data/*.png | head | crnnocr predict --files-from -\n'
ls data/*.png | head | crnnocr predict --files-from -
run export

printf '\nImages that no model has seen, of the kind that yours was trained on; your model beside the one that comes with crnnocr:\n'
run synth unseen --count 200 --lang en --seed 7
run eval unseen --model data --compare en

crnnocr predict --quiet --beam 5 --model data unseen --format jsonl | head -n 24 >unseen.jsonl
crnnocr predict --quiet --beam 5 --model en real --format jsonl >real.jsonl
python "$root/docs/examples/sheet.py" predictions.png \
    "Synthetic, never seen in training (the reference at the right if it differs)=unseen.jsonl" \
    "Real scans, read by the model that comes with crnnocr=real.jsonl"
printf '\nImages beside their predictions: %s/predictions.png\n' "$PWD"
