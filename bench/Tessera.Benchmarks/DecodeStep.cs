using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using Tessera.Models;
using Tessera.Models.Decoding;
using Tessera.Models.Formats;
using Tessera.Tensors;
using Tessera.Tensors.Threading;

namespace Tessera.Benchmarks;

/// <summary>Greedy cached decoding of one sequence, a token a step: of the decoder of <see cref="TrainingStep"/>, or of a model's
/// file.</summary>
internal static class DecodeStep
{
    private const int WarmUpSteps = 600;

    /// <summary>Measures, and prints one line of JSON.</summary>
    /// <param name="steps">How many steps are measured.</param>
    /// <param name="model">A model's folder or GGUF file; the decoder where null.</param>
    /// <param name="cache">What keys and values are stored as.</param>
    public static void Run(int steps, string? model = null, ElementType cache = ElementType.F32)
    {
        var folder = model is null ? null : ModelFolder.Load(model, asStored: true);
        var decoder = folder?.Model ?? TrainingStep.Build("decoder");
        var next = Steps(decoder, WarmUpSteps + steps, cache);
        var (times, tokens, bytes, passes) = (new double[steps], new int[steps], 0L, 0L);
        for (var step = -WarmUpSteps; step < steps; step++)
        {
            if (step == 0) (bytes, passes) = (GC.GetTotalAllocatedBytes(precise: true), ThreadTeam.Shared.Passes);
            var start = Stopwatch.GetTimestamp();
            var token = next();
            if (step >= 0) (times[step], tokens[step]) = (Stopwatch.GetElapsedTime(start).TotalMilliseconds, token);
        }

        (bytes, passes) = (GC.GetTotalAllocatedBytes(precise: true) - bytes, ThreadTeam.Shared.Passes - passes);
        Array.Sort(times);
        Console.WriteLine(JsonSerializer.Serialize(new
        {
            model = model is null ? "decoder" : Path.GetFileNameWithoutExtension(model), cache = $"{cache}", threads = Processor.Threads,
            @params = decoder.ParameterCount(), step_ms = Math.Round(times[steps / 2], 4), least_ms = Math.Round(times[0], 4),
            tokens_a_second = Math.Round(1e3 / times[steps / 2], 1), team_passes_a_step = (double)passes / steps,
            managed_bytes_a_step = (double)bytes / steps, tokens = Hash(tokens),
        }));
    }

    /// <summary>A step of the decoder to call as many times as are reserved, which gives the token.</summary>
    public static Func<int> Steps(int steps) => Steps(TrainingStep.Build("decoder"), steps, ElementType.F32);

    private static Func<int> Steps(SequenceModel model, int steps, ElementType cache)
    {
        var session = new DecodingSession(model, cache);
        session.Reserve(1, steps + 1);
        var (sequence, token) = (session.Add(), 1);
        return () =>
        {
            sequence.Read(token);
            using var scope = Arena.Current.Scope();
            return token = Best(session.Step().Floats);
        };
    }

    private static int Best(ReadOnlySpan<float> logits) => System.Numerics.Tensors.TensorPrimitives.IndexOfMax(logits);

    private static string Hash(ReadOnlySpan<int> tokens) =>
        Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(MemoryMarshal.AsBytes(tokens)))[..16];
}
