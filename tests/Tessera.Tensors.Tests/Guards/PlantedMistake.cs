using Tessera.Tensors.Kernels;

namespace Tessera.Tensors.Tests.Guards;

/// <summary>A kernel that does what no kernel may, one number out of its buffer, to prove that this would be noticed.</summary>
internal static unsafe class PlantedMistake
{
    public static TheoryData<string, string> Mistakes => new()
    {
        { "end", "read-after" }, { "end", "write-after" }, { "end", "write-before" }, { "end", "temporary-read-after" },
        { "start", "read-before" }, { "start", "write-before" }, { "start", "write-after" }, { "start", "temporary-read-before" },
    };

    public static void Commit(string mistake)
    {
        using var scope = Arena.Current.Scope();
        var tensor = mistake.StartsWith("temporary", StringComparison.Ordinal) ? Tensor.Temporary([3, 7]) : Tensor.Allocate([3, 7]);
        Console.WriteLine($"{ChildProcess.Begins}{mistake} of {tensor}");
        fixed (float* first = tensor.Floats)
        {
            var at = mistake.EndsWith("after", StringComparison.Ordinal) ? first + tensor.Shape.Count : first - 1;
            var work = new Work { At = at, Write = mistake.Contains("write", StringComparison.Ordinal) };
            Simd.Run(ref work, 1);
        }

        GC.KeepAlive(tensor);
        tensor = null;
        for (var i = 0; i < 3; i++) // buffers given back are looked at
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }

    private struct Work : IVectorWork
    {
        public float* At;
        public bool Write;
        public float Read;

        public void Run<V>(int part) where V : struct, ILanes<V>
        {
            if (Write) *At = 0;
            else Read = *At;
        }
    }
}
