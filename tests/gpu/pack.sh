#!/usr/bin/env bash
# Makes one folder with all that run.sh needs: a Java runtime, our jars with libtorch's natives, the contract suite,
# the rivals. Run it where Maven works; README.md beside it says how to go on.
set -euo pipefail
unset CDPATH

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
home="$(cd "$here/../.." && pwd)"

usage() {
  cat <<'TEXT'
usage: tests/gpu/pack.sh [--torch cuda|cpu] [--out DIR] [--pieces SIZE] [--no-build]

  --torch cuda|cpu  libtorch's natives: for NVIDIA GPUs (the default), or for the CPU
  --out DIR         the folder to make (default: target/gpu-checks); it is replaced
  --pieces SIZE     also cuts a tar archive of it into files of at most SIZE, such as 60M: DIR.tar.000, DIR.tar.001, ...
  --no-build        packs what the last build with -Ptorch or -Ptorch-cuda left, and starts no Maven
TEXT
}

fail() {
  echo "pack.sh: $1" >&2
  exit 2
}

torch=cuda
out="$home/target/gpu-checks"
pieces=""
build=yes
while [ $# -gt 0 ]; do
  case "$1" in
    --torch | --out | --pieces)
      [ $# -ge 2 ] || fail "$1 needs a value"
      case "$1" in
        --torch) torch="$2" ;;
        --out) out="$2" ;;
        --pieces) pieces="$2" ;;
      esac
      shift 2
      ;;
    --no-build)
      build=no
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) fail "unknown argument ${1@Q}; see --help" ;;
  esac
done
case "$torch" in
  cpu) profile=torch ;;
  cuda) profile=torch-cuda ;;
  *) fail "--torch must be cuda or cpu, not ${torch@Q}" ;;
esac
[[ -z "$pieces" || "$pieces" =~ ^[1-9][0-9]{0,5}[MG]$ ]] || fail "--pieces must be a size such as 60M or 2G, not ${pieces@Q}"
# Java's class path has no quotes for a colon.
[ -n "$out" ] && [[ "$out" != *[:[:cntrl:]]* ]] || fail "--out must be a folder without colons in its name, not ${out@Q}"
[[ "$home" != *[:[:cntrl:]]* ]] || fail "the folder ${home@Q} has a colon or a control character in its name; rename it"
[[ "$out" == /* ]] || out="$PWD/$out"
out="$(realpath -m "$out")"
if [ -e "$out" ]; then
  [ -d "$out" ] || fail "--out ${out@Q} is a file; name a folder"
  # It is replaced: a folder of pack.sh has all of these.
  if [ ! -f "$out/torch" ] || [ ! -f "$out/run.sh" ] || [ ! -d "$out/lib" ]; then
    [ -z "$(ls -A "$out" 2>&1)" ] || fail "--out ${out@Q} exists and was not made by pack.sh; name another folder"
  fi
fi

jdk="${JAVA_HOME:-}"
if [ ! -x "$jdk/bin/jlink" ] || ! grep -q '^JAVA_VERSION="25' "$jdk/release" 2>/dev/null; then
  jdk=""
  for candidate in /usr/lib/jvm/* /usr/java/* /opt/java/* /opt/jdk* "${HOME:-}"/.sdkman/candidates/java/*; do
    if [ -x "$candidate/bin/jlink" ] && grep -q '^JAVA_VERSION="25' "$candidate/release" 2>/dev/null; then
      jdk="$candidate"
      break
    fi
  done
fi
[ -n "$jdk" ] || fail "no JDK 25 with jlink found; set JAVA_HOME to one"

if [ "$build" = yes ]; then
  echo "pack.sh: building with -P$profile" >&2
  (cd "$home" && MILLRACE_TORCH="$torch" ./millrace version >/dev/null)
  (cd "$home" && ./mvnw --batch-mode --no-transfer-progress -q -P"$profile" -DskipTests -pl model/torch -am package)
fi

distribution="$home/flink-jobs/cli/target/distribution"
classes="$home/model/torch/target/test-classes"
console="$home/model/torch/target/console"
contract="$home/model/contract/target"
natives="linux-$(uname -m | sed 's/aarch64/arm64/')"
[ "$torch" = cpu ] || natives="$natives-gpu"
for needed in "$distribution/lib/pytorch-*-$natives.jar" "$classes/io" "$console/*.jar" "$contract/millrace-model-contract-*.jar"; do
  compgen -G "$needed" >/dev/null || fail "$needed is missing; run pack.sh without --no-build"
done

rm -rf "$out"
mkdir -p "$out/lib" "$out/tests" "$out/rival"
echo "$torch" >"$out/torch"
cp "$here/run.sh" "$here/README.md" "$home/tests/rivals/pytorch_ppo_step.py" "$distribution/jvm.options" "$out/"
for jar in "$distribution"/lib/*.jar; do
  # The backend nd4j and its natives are not checked here.
  case "$(basename "$jar")" in
    nd4j-* | millrace-model-nd4j-*) ;;
    *) cp "$jar" "$out/lib/" ;;
  esac
done
cp -r "$classes" "$out/tests/classes"
cp "$console"/*.jar "$contract"/millrace-model-contract-*.jar "$out/tests/"
"$jdk/bin/javac" -d "$out/rival" -cp "$out/lib/*" "$home/tests/rivals/LibtorchPpoStep.java"
rm -rf "$out/runtime"
"$jdk/bin/jlink" --output "$out/runtime" --strip-debug --no-header-files --no-man-pages --compress zip-6 \
  --add-modules java.se,jdk.unsupported,jdk.incubator.vector,jdk.zipfs,jdk.management,jdk.net,jdk.crypto.ec,jdk.security.auth,jdk.security.jgss,jdk.httpserver

if [ -n "$pieces" ]; then
  name="$(basename "$out")"
  folder="$(dirname "$out")"
  # The archive is a little larger than its files.
  megabytes=$(($(du -sm --apparent-size "$out" | cut -f1) * 21 / 20 + 1))
  size="${pieces%[MG]}"
  [[ "$pieces" != *G ]] || size=$((size * 1024))
  [ $((megabytes / size)) -lt 999 ] || fail "--pieces $pieces makes more than 999 pieces of $megabytes MB; name a larger size"
  rm -f "$folder/$name".tar.[0-9][0-9][0-9]
  tar -C "$folder" -cf - -- "$name" | split -b "$pieces" -d -a 3 - "$folder/$name.tar."
  (cd "$folder" && sha256sum -- "$name".tar.[0-9][0-9][0-9] >"$name.tar.sha256")
  echo "$folder/$name.tar.000 and so on: $(ls "$folder/$name".tar.[0-9][0-9][0-9] | wc -l) pieces, digests in $name.tar.sha256"
fi
echo "$out: $(du -sm "$out" | cut -f1) MB; run $out/run.sh"
