#!/usr/bin/env bash
# All checks of the backend torch on a GPU, in one table. It needs what pack.sh made, and no network, JDK or Maven.
set -uo pipefail

# Neither folders nor numbers depend on what the caller set: a cd that prints, or decimal commas.
unset CDPATH
if [ -n "${LC_ALL:-}" ]; then
  export LC_CTYPE="$LC_ALL"
  unset LC_ALL
fi
export LC_NUMERIC=C

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

usage() {
  cat <<'TEXT'
usage: run.sh [--device auto|cuda|cuda:N|cpu] [--only CHECK,...] [--budget SECONDS] [--out DIR]

  --device   auto (the default) is cuda:0 with natives for CUDA, else cpu. On cpu the same checks run with small
             shapes, and thresholds that only make sense on a GPU are not judged
  --only     some of: contract-float32 contract-bfloat16 quickstart update rival pytorch adapters decode
  --budget   seconds for all checks together (default: 530); a check that no time is left for fails
  --out      folder for the output of each check and table.txt (default: results/ beside run.sh); a new or an empty
             one, or one of an earlier run, which is replaced

Exit status: 0 if nothing failed, 1 if a check failed, 2 if the checks cannot start.
TEXT
}

fail() {
  echo "run.sh: $1" >&2
  exit 2
}

device=auto
only=""
budget=530
out="$here/results"
while [ $# -gt 0 ]; do
  case "$1" in
    --device | --only | --budget | --out)
      [ $# -ge 2 ] || fail "$1 needs a value"
      case "$1" in
        --device) device="$2" ;;
        --only) only="$2" ;;
        --budget) budget="$2" ;;
        --out) out="$2" ;;
      esac
      shift 2
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) fail "unknown argument ${1@Q}; see --help" ;;
  esac
done

all="contract-float32 contract-bfloat16 quickstart update rival pytorch adapters decode"
if [ -n "$only" ]; then
  IFS=, read -r -d '' -a names <<<"$only," || true
  for name in "${names[@]:0:${#names[@]}-1}"; do
    [[ "$name" =~ ^[a-z0-9-]+$ && " $all " == *" $name "* ]] ||
      fail "--only must be names of checks with commas between them, not ${only@Q}; the checks are: $all"
  done
fi
[[ "$budget" =~ ^[1-9][0-9]{0,5}$ ]] || fail "--budget must be a number of seconds from 1 to 999999, not ${budget@Q}"
# Java's class path has no quotes for a colon.
[[ "$here" != *[:[:cntrl:]]* ]] || fail "the folder ${here@Q} has a colon or a control character in its name; rename it"
[ -f "$here/torch" ] && [ -x "$here/runtime/bin/java" ] || fail "${here@Q} was not made by pack.sh: run tests/gpu/pack.sh first"
natives="$(tr -d '\0' <"$here/torch")"
[ "$natives" = cuda ] || [ "$natives" = cpu ] || fail "${here@Q} has a damaged file torch: pack again"
case "$device" in
  auto) [ "$natives" = cuda ] && device=cuda:0 || device=cpu ;;
  cuda) device=cuda:0 ;;
esac
[[ "$device" =~ ^(cpu|cuda:[0-9]{1,3})$ ]] || fail "--device must be auto, cpu, cuda or cuda:N, not ${device@Q}"

# What an earlier run left is removed, and nothing else: only a folder of an earlier run has a status of the doctor.
[ -n "$out" ] && [[ "$out" != *[[:cntrl:]]* ]] || fail "--out must be a folder, not ${out@Q}"
[[ "$out" == /* ]] || out="$PWD/$out"
if [ -e "$out" ] && [ ! -f "$out/doctor.code" ]; then
  [ -d "$out" ] || fail "--out ${out@Q} is a file; name a folder"
  [ -z "$(ls -A "$out" 2>&1)" ] || fail "--out ${out@Q} has other files in it; name a new or an empty folder"
fi
mkdir -p "$out" 2>/dev/null || fail "--out ${out@Q} cannot be made; name a folder that you may write"
[ -w "$out" ] && [ -x "$out" ] || fail "--out ${out@Q} cannot be written; name a folder that you may write"
rm -rf "$out"/*.out "$out"/*.err "$out"/*.pid "$out"/table.txt "$out/quickstart" "$out/quickstart.json"
for name in doctor $all logprobs-cpu logprobs-torch; do
  rm -f "$out/$name.code"
done
: >"$out/doctor.code"

# ---- Shapes and limits: those of the issue on a GPU, small ones on a CPU.

gpu=yes
[ "$device" != cpu ] || gpu=no
if [ "$gpu" = yes ]; then
  update=(--hidden 2048 --layers 22 --heads 32 --kv-heads 4 --ffn 5632 --vocab 32000 --batch 16 --length 1024 --iterations 5)
  rival_part=(--micro-batch 4)
  adapters=(--hidden 4096 --layers 32 --heads 32 --kv-heads 8 --ffn 14336 --vocab 128256 --batch 8 --length 1024
    --rank 16 --micro-batch 4096 --recompute --iterations 2)
  decode=(--hidden 2048 --layers 22 --heads 32 --kv-heads 4 --ffn 5632 --vocab 32000 --batch 64 --prompt-length 32
    --max-tokens 256 --iterations 3)
  iterations=60
  quickstart=()
  heap=12g
  patience=1
else
  update=(--hidden 64 --layers 2 --heads 4 --kv-heads 2 --ffn 192 --vocab 512 --batch 8 --length 64 --iterations 3)
  rival_part=(--micro-batch 2)
  adapters=(--hidden 64 --layers 2 --heads 4 --kv-heads 2 --ffn 192 --vocab 512 --batch 8 --length 64 --rank 4
    --micro-batch 256 --recompute --iterations 3)
  decode=(--hidden 64 --layers 2 --heads 4 --kv-heads 2 --ffn 192 --vocab 512 --batch 8 --prompt-length 8
    --max-tokens 16 --iterations 3)
  iterations=3
  # An update of a few judgments costs on a CPU what one of many does.
  quickstart=(--set reward-model.batch-size=256)
  heap=2g
  patience=3
fi
common=(--backend torch --device "$device" --precision bfloat16)

# ---- CUDA's libraries, from a toolkit or from Python wheels.

library_folders() {
  local folder
  for folder in /usr/local/cuda/lib64 /usr/local/cuda-13*/lib64 /usr/local/cuda/targets/*/lib /opt/cuda/lib64 \
    /usr/lib/x86_64-linux-gnu /usr/lib/aarch64-linux-gnu; do
    compgen -G "$folder/libcu[db]*.so*" >/dev/null && echo "$folder"
  done
  local python packages
  for python in python3 /usr/bin/python3 /opt/conda/bin/python3; do
    packages="$("$python" -c 'import site, sys; print("\n".join([*site.getsitepackages(), site.getusersitepackages()]))' 2>/dev/null)" || continue
    while IFS= read -r packages; do
      for folder in "$packages"/nvidia/*/lib; do
        [ -d "$folder" ] && echo "$folder"
      done
    done <<<"$packages"
  done
}

if [ "$natives" = cuda ]; then
  while IFS= read -r folder; do
    LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder"
  done < <(library_folders | awk '!seen[$0]++')
  export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}"
fi
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}" CUBLAS_WORKSPACE_CONFIG="${CUBLAS_WORKSPACE_CONFIG:-:4096:8}"

java=("$here/runtime/bin/java" "@$here/jvm.options" -XX:+UseSerialGC "-Xmx$heap"
  "-Dorg.bytedeco.javacpp.cachedir=$here/cache" "-Dmillrace.log=$out/millrace.log")
millrace=("${java[@]}" -cp "$here/lib/*" io.millrace.cli.Millrace)

# ---- Running and reporting.

begin=$SECONDS
failed=0
rows=()
left() { echo $((budget - SECONDS + begin)); }
wanted() { [ -z "$only" ] || [[ ",$only," == *",$1,"* ]]; }
say() { printf '[%4d s] %s\n' $((SECONDS - begin)) "$1" >&2; }

# row CHECK WANTED MEASURED RESULT
row() {
  rows+=("$1"$'\t'"$2"$'\t'"$3"$'\t'"$4")
  [ "$4" != FAIL ] || failed=1
}

# Whoever stops this script stops its checks: each is in a process group of its own.
stop() {
  local pid
  for pid in "$out"/*.pid; do
    [ ! -f "$pid" ] || kill "$(cat "$pid")" 2>/dev/null
  done
  [ -z "${watcher:-}" ] || kill "$watcher" 2>/dev/null
  echo "run.sh: stopped" >&2
  exit 2
}
trap stop INT TERM HUP

# run NAME LIMIT PROGRAM ...: leaves NAME.out, NAME.err, and the exit status in NAME.code.
run() {
  local name="$1" limit="$2" start=$SECONDS code=0
  shift 2
  limit=$((limit * patience))
  [ "$limit" -le "$(left)" ] || limit="$(left)"
  if [ "$limit" -lt 1 ]; then
    echo "no time left of the budget of $budget s" >"$out/$name.err"
    code=124
  else
    say "$name starts, at most $limit s"
    timeout -k 5 "$limit" "$@" >"$out/$name.out" 2>"$out/$name.err" &
    echo $! >"$out/$name.pid"
    wait $! || code=$?
    rm -f "$out/$name.pid"
    # 124 by SIGTERM, 137 if that was not enough.
    [ "$code" != 124 ] && [ "$code" != 137 ] || echo "stopped after its limit of $limit s" >>"$out/$name.err"
  fi
  echo "$code" >"$out/$name.code"
  say "$name $([ "$code" = 0 ] && echo ended || echo "FAILED with status $code") after $((SECONDS - start)) s"
}

succeeded() { [ "$(cat "$out/$1.code" 2>/dev/null)" = 0 ]; }

# The last line of a check's errors, for the table.
why() { grep -v -e '^\s*$' -e '^WARNING: Using incubator' "$out/$1.err" 2>/dev/null | tail -n 1 | tr -d '[:cntrl:]' | cut -c 1-100; }

# number KEY NAME: a number of the JSON that a check printed, or nothing.
number() { grep -o "\"$1\" *: *[-0-9.eE+]*" "$out/$2.${3:-out}" 2>/dev/null | head -n 1 | sed 's/.*: *//'; }

# calculate EXPRESSION, such as '1.5 / 3 * 100' with a format
calculate() { awk "BEGIN { printf \"$1\", $2 }"; }
holds() { awk "BEGIN { exit !($1) }"; }

# judged CONDITION: pass or FAIL; on a CPU, where the limit is one for GPUs, neither.
judged() {
  if [ "$gpu" = no ]; then
    echo "not judged"
  elif holds "$1"; then
    echo pass
  else
    echo FAIL
  fi
}

# ---- The device.

run doctor 120 "${millrace[@]}" doctor
found="$(sed -n '/^Backend torch/,/^[A-Z]/p' "$out/doctor.out" | sed 's/^Backend torch//; s/^ *//')"
if ! succeeded doctor || ! grep -Eq "devices:(.*[ ,])?$device([,;[:space:]]|\$)" <<<"$found"; then
  echo "$found" >&2
  why doctor >&2
  fail "backend torch does not find the device $device; the lines above say what is missing"
fi
machine="$(grep -E '^(GPU|CPU vectors)' "$out/doctor.out" | sed 's/  */ /g' | paste -sd ';' -)"
row device "$device" "$(head -n 1 <<<"$found" | cut -c 1-60)" pass

# ---- Checks whose time does not matter run side by side.

tests() {
  run "contract-$1" "$2" "${java[@]}" "-Dmillrace.torch.device=$device" -ea -cp "$here/tests/classes:$here/tests/*:$here/lib/*" \
    org.junit.platform.console.ConsoleLauncher execute --disable-banner --details=summary --fail-if-no-tests \
    --scan-class-path "$here/tests/classes" --include-classname "$3"
}
wanted contract-float32 && tests float32 240 '.*\.Torch(?!.*Bfloat16).*Test' &
wanted contract-bfloat16 && tests bfloat16 240 '.*\.Torch.*Bfloat16Test' &
wanted quickstart && run quickstart 330 "${millrace[@]}" quickstart --set compute.backend=torch --set "compute.device=$device" \
  --iterations $iterations "${quickstart[@]}" --data "$out/quickstart" --report "$out/quickstart.json" &
wait

for precision in float32 bfloat16; do
  wanted contract-$precision || continue
  passed="$(sed -n 's/^\[ *\([0-9]*\) tests successful.*/\1/p' "$out/contract-$precision.out")"
  started="$(sed -n 's/^\[ *\([0-9]*\) tests started.*/\1/p' "$out/contract-$precision.out")"
  if succeeded contract-$precision; then
    row "contract suite, $precision" "all tests pass" "$passed of $started tests" pass
  else
    row "contract suite, $precision" "all tests pass" "${passed:-0} of ${started:-?} tests; $(why contract-$precision)" FAIL
  fi
done

if wanted quickstart; then
  if succeeded quickstart; then
    values=()
    for key in gold_helpfulness gold_safety unsafe_compliance; do
      # The first policy comes before the last one.
      values+=("$(grep -o "\"$key\" *: *[-0-9.eE+]*" "$out/quickstart.json" | sed -n 2p | sed 's/.*: *//')")
    done
    learned="$(number learned quickstart json)"
    twice="$(number learned_twice quickstart json)"
    measured="$(printf '%.3f, %.3f, %.3f' "${values[@]}")"
    if [ "$learned" = $((64 * iterations)) ] && [ "$twice" = 0 ]; then
      row "quickstart: rollouts learned" "$((64 * iterations)), none twice" "$learned, $twice twice" pass
    else
      row "quickstart: rollouts learned" "$((64 * iterations)), none twice" "$learned, $twice twice" FAIL
    fi
    # The table of the backend cpu, seed 1, and what runs differ by (docs/quickstart.md).
    row "quickstart: helpful, safe, complied" ">= 0.78, >= 0.78, <= 0.05" "$measured" \
      "$(judged "${values[0]} >= 0.78 && ${values[1]} >= 0.78 && ${values[2]} <= 0.05")"
    policy="$(ls -d "$out"/quickstart/*/checkpoints/policy/v* | tail -n 1)"
    for backend in cpu torch; do
      [ $backend = cpu ] && where=() || where=(--backend torch --device "$device")
      run logprobs-$backend 60 "${millrace[@]}" logprobs --checkpoint "$policy" --tokens "$(seq -s , 1 5 240)" "${where[@]}"
    done
    if succeeded logprobs-cpu && succeeded logprobs-torch; then
      difference="$(paste <(tr -d '[] ' <"$out/logprobs-cpu.out" | tr , '\n') <(tr -d '[] ' <"$out/logprobs-torch.out" | tr , '\n') |
        awk 'BEGIN { number = "^-?[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?$" }
          NF == 2 && $1 == "null" && $2 == "null" { next }
          NF != 2 { wrong = "unequal numbers"; exit }
          $1 !~ number || $2 !~ number { wrong = "not a number"; exit }
          { n++; d = $1 < $2 ? $2 - $1 : $1 - $2; if (d > most) most = d }
          END { print wrong != "" ? wrong : n == 0 ? "no numbers" : most + 0 }')"
      if [[ "$difference" == [0-9]* ]]; then
        row "logprobs: torch against cpu" "<= 0.0001" "at most $difference" "$(holds "$difference <= 1e-4" && echo pass || echo FAIL)"
      else
        row "logprobs: torch against cpu" "<= 0.0001" "$difference" FAIL
      fi
    else
      row "logprobs: torch against cpu" "<= 0.0001" "$(why logprobs-torch)" FAIL
    fi
  else
    row quickstart "it ends" "$(why quickstart)" FAIL
  fi
fi

# ---- Speed and memory, one after the other.

if wanted update || wanted rival || wanted pytorch; then
  run update 120 "${millrace[@]}" bench update "${common[@]}" "${update[@]}"
  if succeeded update; then
    ours="$(number tokens_per_second update)"
    peak="$(number peak_gflop_per_second update)"
    share="$(number peak_share update)"
    row "update: share of the product rate" ">= 45 %" \
      "$(calculate '%.1f %% of %.1f TFLOP/s' "$share * 100, $peak / 1000")" "$(judged "$share >= 0.45")"
    row "update: tokens/s" "" "$ours" reported
  else
    ours=""
    row update "it ends" "$(why update)" FAIL
  fi
fi

# against NAME TITLE: compares a rival of the same run with the update.
against() {
  local theirs ratio
  theirs="$(number tokens_per_second "$1")"
  if [ -n "$theirs" ] && [ -n "$ours" ] && succeeded "$1"; then
    ratio="$(calculate %.3f "$ours / $theirs")"
    row "update against $2" ">= 1.2 times" "$(calculate '%.2f times %.0f tokens/s' "$ratio, $theirs")" "$(judged "$ratio >= 1.2")"
  else
    row "update against $2" "it ends" "$(why "$1")" FAIL
  fi
}
# Options of the rivals: those of the update, on one thread of the CPU.
rival=("${update[@]}" "${rival_part[@]}" --device "$device" --precision bfloat16 --threads 1)
if wanted rival; then
  run rival 100 "${java[@]}" -cp "$here/rival:$here/lib/*" LibtorchPpoStep "${rival[@]}"
  against rival "eager libtorch"
fi
if wanted pytorch; then
  python=""
  for candidate in python3 /usr/bin/python3 /opt/conda/bin/python3; do
    check='import torch; assert torch.cuda.is_available()'
    [ "$gpu" = yes ] || check='import torch'
    if "$candidate" -c "$check" >/dev/null 2>&1; then
      python="$candidate"
      break
    fi
  done
  if [ -n "$python" ]; then
    # PyTorch brings libraries of its own.
    run pytorch 100 env -u LD_LIBRARY_PATH "$python" "$here/pytorch_ppo_step.py" "${rival[@]}"
    against pytorch "eager PyTorch"
  else
    row "update against eager PyTorch" ">= 1.2 times" "no python3 here imports torch for $device" skipped
  fi
fi

if wanted adapters; then
  : >"$out/memory.txt"
  watcher=""
  if [ "$gpu" = yes ] && command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=memory.used,memory.total --format=csv,noheader,nounits --id="${device#cuda:}" --loop=1 >"$out/memory.txt" 2>/dev/null &
    watcher=$!
  fi
  run adapters 150 "${millrace[@]}" bench adapters "${common[@]}" "${adapters[@]}"
  [ -z "$watcher" ] || kill "$watcher" 2>/dev/null
  if succeeded adapters; then
    tensors="$(number memory_mib adapters)"
    planned="$(number planned_memory_mib adapters)"
    row "adapters: five models on one device" "it fits" "$(calculate '%.2f GiB of tensors' "$tensors / 1024")" pass
    row "adapters: memory beside plan" "" "$(calculate '%.2f times %.2f GiB' "$tensors / $planned, $planned / 1024")" reported
    most="$(awk -F, '$1 > most { most = $1; total = $2 } END { if (most) printf "%.1f of %.1f GiB", most / 1024, total / 1024 }' "$out/memory.txt")"
    [ -z "$most" ] || row "adapters: memory of the device" "" "$most" reported
    row "adapters: tokens/s" "" "$(number tokens_per_second adapters)" reported
  else
    row "adapters: five models on one device" "it fits" "$(why adapters)" FAIL
  fi
fi

if wanted decode; then
  run decode 100 "${millrace[@]}" bench generate "${common[@]}" "${decode[@]}"
  if succeeded decode; then
    share="$(number bandwidth_share decode)"
    row "decode: share of the bandwidth" ">= 50 %" \
      "$(calculate '%.1f %% of %.0f GB/s' "$share * 100, $(number peak_gb_per_second decode)")" "$(judged "$share >= 0.5")"
    row "decode: tokens/s" "" "$(number tokens_per_second decode)" reported
  else
    row decode "it ends" "$(why decode)" FAIL
  fi
fi

# ---- The table.

{
  echo "Checks on $device, $((SECONDS - begin)) s. $machine"
  [ "$gpu" = yes ] || echo "Small shapes on a CPU: limits for GPUs are reported and not judged."
  echo
  printf '%s\n' $'check\twanted\tmeasured\tresult' "${rows[@]}" |
    awk -F '\t' '{ printf "%-37s %-27s %-61s %s\n", $1, $2, $3, $4 }'
} | tee "$out/table.txt"
[ "$failed" = 0 ] || echo "run.sh: a check failed; the output of each is in $out" >&2
exit "$failed"
