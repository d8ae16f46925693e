#!/bin/sh
# Every test of operations at every level this machine has, on one, two and three threads, and then between guard pages, with many
# fuzzed cases. Prints a line a run; what fails is told in full. Takes half an hour on two cores.
#   bench/all-levels.sh [CASES]      CASES of each fuzzed operation at each level and thread count; 100 unless said
set -eu
cd "$(dirname "$0")/.."
cases=${1:-100}
project=tests/Tessera.Tensors.Tests
dotnet build -c Release "$project" -v quiet --nologo
failed=0

run() { # what, filter; the rest of the settings are in the environment
    if out=$(dotnet test -c Release "$project" --no-build --nologo --filter "$2" 2>&1); then
        echo "$1: $(echo "$out" | tail -n 1)"
    else
        echo "$1: FAILED"; echo "$out"; failed=1
    fi
}

operations='FullyQualifiedName~.Ops.|FullyQualifiedName~.Quantization.|FullyQualifiedName~.Masks.|FullyQualifiedName~.Kernels.|FullyQualifiedName~.Fuzz.|FullyQualifiedName~TapeTests|FullyQualifiedName~AllocationTests'
for level in $(dotnet "$project/bin/Release/net10.0/Tessera.Tensors.Tests.dll" levels); do
    for threads in 1 2 3; do
        TESSERA_KERNELS=$level TESSERA_THREADS=$threads run "$level, $threads threads" "$operations"
    done
done

# Between guard pages each temporary has memory of its own, so the tests of using memory again do not apply.
guarded='(FullyQualifiedName~.Ops.|FullyQualifiedName~.Quantization.|FullyQualifiedName~.Masks.|FullyQualifiedName~.Fuzz.)&FullyQualifiedName!~allocate&FullyQualifiedName!~garbage'
for level in $(dotnet "$project/bin/Release/net10.0/Tessera.Tensors.Tests.dll" levels 2>/dev/null); do
    for side in end start; do
        TESSERA_KERNELS=$level TESSERA_TEST_GUARD=$side run "$level, guarded at the $side" "$guarded"
    done
done

TESSERA_TEST_CASES=$cases run "$cases fuzzed cases of each operation, guarded, all levels and threads" 'FullyQualifiedName~.Levels.'
exit $failed
