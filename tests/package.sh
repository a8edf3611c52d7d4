#!/usr/bin/env bash
# An installed crnnocr, in an empty folder: the lines of the README, on a small scale.
set -eu  # no pipefail: head closes the pipe of ls early, and that is right
crop="$(cd "$(dirname "$0")" && pwd)/data/real/caption-01.jpg"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export CRNNOCR_DATA_DIR="$folder/store"

crnnocr predict "$crop" # with the model that comes with it
crnnocr synth --count 40 --lang en --words 1
crnnocr train data/ --epochs 1 --folds 0 # of so few all would be trained on
crnnocr models use data
crnnocr eval data/ --report report.html
test -s report.html
cp "$(ls data/*.png | head -n 1)" crop.png
crnnocr predict crop.png --beam 5
ls data/*.png | head | crnnocr predict --files-from - >readings.tsv
test "$(wc -l <readings.tsv)" -eq 10
crnnocr export
crnnocr predict --model data-onnx crop.png
echo "the installed package works"
