using System.Diagnostics;
using System.Text.Json;
using Tessera.Models.Decoding;
using Tessera.Tensors;

namespace Tessera.Benchmarks;

/// <summary>Cached decoding with the decoder of <see cref="TrainingStep"/>: one row, a token a step.</summary>
internal static class DecodeStep
{
    private const int WarmUpSteps = 600;

    /// <summary>Measures, and prints one line of JSON.</summary>
    /// <param name="steps">How many steps are measured.</param>
    public static void Run(int steps)
    {
        var model = TrainingStep.Build("decoder");
        var session = new DecodingSession(model);
        session.Reserve(1, WarmUpSteps + steps + 1);
        var sequence = session.Add();
        var token = 1;
        var (times, bytes) = (new double[steps], 0L);
        for (var step = -WarmUpSteps; step < steps; step++)
        {
            if (step == 0) bytes = GC.GetTotalAllocatedBytes(precise: true);
            var start = Stopwatch.GetTimestamp();
            sequence.Read(token);
            using (Arena.Current.Scope()) token = Best(session.Step().Floats);
            if (step >= 0) times[step] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }

        bytes = GC.GetTotalAllocatedBytes(precise: true) - bytes;
        Array.Sort(times);
        Console.WriteLine(JsonSerializer.Serialize(new
        {
            @params = model.ParameterCount(), step_ms = Math.Round(times[steps / 2], 4), managed_bytes_a_step = (double)bytes / steps,
        }));
    }

    private static int Best(ReadOnlySpan<float> logits) => System.Numerics.Tensors.TensorPrimitives.IndexOfMax(logits);
}
