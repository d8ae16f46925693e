#!/bin/bash
# The fuzzed cases of all operations on systems that this machine is not: ARM64 with and without dot product instructions, under QEMU, and
# Windows x64, under Wine, at every level that each has. Needs Debian's qemu-user-static, libc6-arm64-cross, libgcc-s1-arm64-cross,
# libstdc++6-arm64-cross and wine64; says what is missing. `COUNT` cases of each operation, 8 unless given.
set -euo pipefail
cd "$(dirname "$0")/.."
count=${1:-8}
operations=$(sed -n 's/^ *\["\([a-z0-9-]*\)"\] = .*/\1/p' tests/Tessera.Tensors.Tests/Fuzz/Fuzzed.cs)
export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 WINEDEBUG=-all
failed=0

publish() {
    dotnet publish -c Release -r "$1" --self-contained tests/Tessera.Tensors.Tests -p:UseAppHost=true -o "tests/Tessera.Tensors.Tests/bin/$1" -v q
}

# The command that runs the tests' program, in words.
run() {
    local name=$1 level threads
    shift
    for level in $("$@" levels 2>/dev/null | tr -d '\r'); do
        for threads in 1 3; do
            echo "$name, $level, $threads threads"
            local output
            # shellcheck disable=SC2086
            output=$(TESSERA_KERNELS=$level TESSERA_THREADS=$threads "$@" fuzz "$((1000 * threads))" "$count" $operations 2>&1) || failed=1
            grep -E '^[!=]' <<< "$output" || tail -n 5 <<< "$output"
        done
    done
}

if command -v qemu-aarch64-static > /dev/null && [[ -d /usr/aarch64-linux-gnu ]]; then
    publish linux-arm64
    for processor in max cortex-a72; do
        run "ARM64 ($processor)" qemu-aarch64-static -cpu "$processor" -L /usr/aarch64-linux-gnu \
            tests/Tessera.Tensors.Tests/bin/linux-arm64/Tessera.Tensors.Tests
    done
else
    echo "no QEMU for ARM64, or no libraries for it"
fi

if command -v wine > /dev/null; then
    publish win-x64
    wine tests/Tessera.Tensors.Tests/bin/win-x64/Tessera.Tensors.Tests.exe levels 2>&1 > /dev/null | grep "assembled code: runs" || failed=1
    run "Windows x64" wine tests/Tessera.Tensors.Tests/bin/win-x64/Tessera.Tensors.Tests.exe
else
    echo "no Wine"
fi

exit $failed
