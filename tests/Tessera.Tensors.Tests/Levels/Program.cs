using Tessera.Tensors.Kernels;
using Tessera.Tensors.Kernels.Jit;
using Tessera.Tensors.Tests.Fuzz;
using Tessera.Tensors.Tests.Guards;
using Tessera.Tensors.Tests.Levels;

// The tests start this assembly as a process of its own, which may die where a kernel leaves its buffers:
//   fuzz FIRST COUNT OPERATION…   COUNT cases of each operation, each named before it runs
//   levels                        the names of the levels that can be used here, and whether assembled code can be
//   plant MISTAKE                 a kernel that leaves its buffer on purpose
if (Environment.GetEnvironmentVariable(DeniedPages.Variable) is { Length: > 0 }) DeniedPages.ChooseLevel();
if (Environment.GetEnvironmentVariable(WindowsCaller.Variable) is { Length: > 0 }) WindowsCaller.CallAll();
switch (args)
{
    case ["fuzz", var first, var count, .. var operations]: return Fuzz(ulong.Parse(first), ulong.Parse(count), operations);
    case ["levels"]: return Levels();
    case ["plant", var mistake]: PlantedMistake.Commit(mistake); return 0;
    default: Console.Error.WriteLine("usage: fuzz FIRST COUNT OPERATION… | levels | plant MISTAKE"); return 2;
}

static int Levels()
{
    foreach (var level in Enum.GetValues<KernelLevel>())
    {
        if (level <= Simd.Highest) Console.WriteLine(level.Name());
        else Console.Error.WriteLine($"{level.Name()} cannot be used here: {Simd.Highest.Name()} is the highest, {Simd.WhyNotHigher}");
    }

    Console.Error.WriteLine($"assembled code: {ExecutablePages.WhyRefused() ?? "runs"}");
    return 0;
}

static int Fuzz(ulong first, ulong count, string[] operations)
{
    var failures = 0;
    foreach (var operation in operations)
        for (var number = first; number < first + count; number++)
        {
            var one = Fuzzed.Case(operation, number);
            Console.WriteLine($"{ChildProcess.Begins}{operation} {number}: {one.Name}");
            try
            {
                one.Run();
            }
            catch (Exception error)
            {
                failures++;
                Console.WriteLine($"{ChildProcess.Fails}{operation} {number}: {one.Name}: {error.Message}{Where(error)}");
            }
        }

    var calls = WindowsCaller.IsOn ? $", {WindowsCaller.Routines} routines in {WindowsCaller.Calls} calls of Windows', which lost {WindowsCaller.Lost}" : "";
    if (WindowsCaller.IsOn && WindowsCaller.Lost == "") calls += "nothing";
    var guarded = GuardedMemory.IsOn ? ", guarded" : "";
    Console.WriteLine($"{ChildProcess.Ends}{Simd.Level.Name()}, {Simd.Threads} threads{guarded}{calls}: {Simd.WhyNotHigher}");
    return failures == 0 ? 0 : 1;
}

// Of an error that is no failed comparison.
static string Where(Exception error) =>
    error is Xunit.Sdk.XunitException ? "" : string.Join(" |", $" {error.GetType().Name}{Environment.NewLine}{error.StackTrace}".Split(Environment.NewLine));
