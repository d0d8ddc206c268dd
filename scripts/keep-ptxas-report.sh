#!/bin/sh
# Runs a compilation by nvcc with -Xptxas -v, and keeps what the assembler says of each kernel in OBJECT.ptxas, for
# scripts/cuda-resources.mjs, instead of on the terminal.
#
#   keep-ptxas-report.sh nvcc … -o OBJECT …
object=
previous=
for argument; do
  [ "$previous" = -o ] && object=$argument
  previous=$argument
done
"$@" 2>"$object.log"
status=$?
ptxas='^ptxas info|bytes stack frame, |^$'
grep -E "$ptxas" "$object.log" >"$object.ptxas"
grep -vE "$ptxas" "$object.log" >&2
rm -f "$object.log"
exit "$status"
