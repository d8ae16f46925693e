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
        var next = Steps(WarmUpSteps + steps);
        var (times, bytes) = (new double[steps], 0L);
        for (var step = -WarmUpSteps; step < steps; step++)
        {
            if (step == 0) bytes = GC.GetTotalAllocatedBytes(precise: true);
            var start = Stopwatch.GetTimestamp();
            next();
            if (step >= 0) times[step] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }

        bytes = GC.GetTotalAllocatedBytes(precise: true) - bytes;
        Array.Sort(times);
        Console.WriteLine(JsonSerializer.Serialize(new
        {
            @params = TrainingStep.Build("decoder").ParameterCount(), step_ms = Math.Round(times[steps / 2], 4),
            managed_bytes_a_step = (double)bytes / steps,
        }));
    }

    /// <summary>A step to call as many times as are reserved.</summary>
    public static Action Steps(int steps)
    {
        var session = new DecodingSession(TrainingStep.Build("decoder"));
        session.Reserve(1, steps + 1);
        var (sequence, token) = (session.Add(), 1);
        return () =>
        {
            sequence.Read(token);
            using var scope = Arena.Current.Scope();
            token = Best(session.Step().Floats);
        };
    }

    private static int Best(ReadOnlySpan<float> logits) => System.Numerics.Tensors.TensorPrimitives.IndexOfMax(logits);
}
