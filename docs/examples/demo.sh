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

printf '\nPictures that no model has seen, drawn like those it learnt from; your model beside the shipped one:\n'
run synth unseen --count 200 --lang en --seed 7
run eval unseen --compare en

crnnocr predict --quiet --beam 5 unseen --format jsonl | head -n 24 >unseen.jsonl
crnnocr predict --quiet --beam 5 --model en real --format jsonl >real.jsonl
python "$root/docs/examples/sheet.py" readings.png \
    "Drawn, and never seen in training (truth at the right where it differs)=unseen.jsonl" \
    "Real scans, read by the model that comes with crnnocr=real.jsonl"
printf '\nPictures next to what was read: %s/readings.png\n' "$PWD"
