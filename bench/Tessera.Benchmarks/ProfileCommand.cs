using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Tessera.Benchmarks.Peers;
using Tessera.Tensors;
using Tessera.Tensors.Threading;

namespace Tessera.Benchmarks;

/// <summary>
/// <c>profile</c>: where the time of a step goes, kernel by kernel, on one thread and on all. Each number of threads has a process of its
/// own, which counts after its warm-up.
/// </summary>
internal static class ProfileCommand
{
    public const string Usage = "training-step decoder|hybrid f32|bf16 | decode-step";

    private const int TrainingWarmUp = 6, TrainingSteps = 6, DecodeWarmUp = 600, DecodeSteps = 400;

    /// <summary>Prints a table for one thread and one for as many as Tessera uses.</summary>
    /// <param name="subject">As <see cref="Usage"/> says.</param>
    public static void Run(IReadOnlyList<string> subject)
    {
        if (subject is not (["training-step", "decoder" or "hybrid", "f32" or "bf16"] or ["decode-step"]))
            throw new ArgumentException($"profile: '{string.Join(' ', subject)}' cannot be profiled; allowed: {Usage}");
        foreach (var threads in new[] { 1, Processor.Threads }.Distinct())
        {
            var lines = Child.RunOwnWithThreads(threads, ["profile-child", .. subject]).Lines;
            Print($"{string.Join(' ', subject)}, {threads} thread{(threads == 1 ? "" : "s")}, {Processor.Level}", lines);
        }
    }

    /// <summary>Counts the kernels of some steps, and prints a line of JSON for the step and one for each kernel, all a step.</summary>
    public static void RunChild(IReadOnlyList<string> subject)
    {
        AppContext.SetSwitch("Tessera.KernelProfile", true);
        var (peak, f32, bandwidth) = (Peak.Of(subject.Contains("bf16") ? Precision.BF16 : Precision.F32), Peak.F32, Peak.Bandwidth);
        var (next, warmUp, steps) = Subject(subject);
        for (var step = 0; step < warmUp; step++) next();
        KernelProfile.Clear();
        var start = Stopwatch.GetTimestamp();
        for (var step = 0; step < steps; step++) next();
        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds / steps;
        Console.WriteLine(JsonSerializer.Serialize(new { seconds, peak, f32, bandwidth }));
        foreach (var ((type, sizes), entry) in KernelProfile.Entries)
        {
            Console.WriteLine(JsonSerializer.Serialize(new
            {
                name = sizes.M == 0 ? Name(type) : $"{Name(type)} {sizes.M} x {sizes.N} x {sizes.K}",
                calls = (double)entry.Calls / steps, seconds = (double)entry.Ticks / Stopwatch.Frequency / steps,
                operations = entry.Operations / steps, bytes = entry.Bytes / steps,
            }));
        }
    }

    private static (Action Next, int WarmUp, int Steps) Subject(IReadOnlyList<string> subject)
    {
        if (subject[0] == "decode-step")
        {
            var next = DecodeStep.Steps(DecodeWarmUp + DecodeSteps);
            return (() => next(), DecodeWarmUp, DecodeSteps);
        }

        var training = new TrainingStep(subject[1], subject[2] == "bf16" ? Precision.BF16 : Precision.F32);
        return (() => training.Next(), TrainingWarmUp, TrainingSteps);
    }

    private static void Print(string title, IReadOnlyList<JsonElement> lines)
    {
        var (step, peak, bandwidth) = (Of(lines[0], "seconds"), Of(lines[0], "peak"), Of(lines[0], "bandwidth"));
        Console.WriteLine($"""

            {title}: {Report.Time(step)} a step; peak {Report.Number(peak / 1e9)} GFLOP/s, {Report.Number(bandwidth / 1e9)} GB/s read

            | kernel | calls | time | share | GFLOP | of peak | MB | of bandwidth |
            |---|---|---|---|---|---|---|---|
            """);
        var kernels = lines.Skip(1).OrderByDescending(line => Of(line, "seconds")).ToList();
        foreach (var kernel in kernels)
        {
            Print(kernel.GetProperty("name").GetString()!, Of(kernel, "calls"), Of(kernel, "seconds"), Of(kernel, "operations"),
                Of(kernel, "bytes"));
        }

        Print("outside kernels", 0, step - kernels.Sum(kernel => Of(kernel, "seconds")), 0, 0);
        Print("all", kernels.Sum(kernel => Of(kernel, "calls")), step, kernels.Sum(kernel => Of(kernel, "operations")), 0);

        void Print(string name, double calls, double seconds, double operations, double bytes) =>
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {name} | {calls:0.#} | {Report.Time(seconds)} | {seconds / step:P1} | {Or(operations / 1e9)} "
                + $"| {Or(operations / seconds / peak)} | {Or(bytes / 1e6)} | {Or(bytes / seconds / bandwidth)} |"));

        static string Or(double value) => value > 0 ? Report.Number(value) : "";
        static double Of(JsonElement line, string key) => line.GetProperty(key).GetDouble();
    }

    /// <summary>A work's type as its kernel is called: what it is wrapped in for vectors or rows, and lanes, are left out.</summary>
    private static string Name(Type type)
    {
        var arguments = type.GetGenericArguments();
        if (type.Name.StartsWith("AtWidth", StringComparison.Ordinal) || type.Name.StartsWith("RowParts", StringComparison.Ordinal))
            return Name(arguments[0]);
        var outer = type.DeclaringType is { } declaring ? $"{Plain(declaring.Name)}." : "";
        var inner = arguments.Where(argument => !argument.Name.StartsWith("Lanes", StringComparison.Ordinal)).Select(Name).ToList();
        return $"{outer}{Plain(type.Name)}{(inner.Count > 0 ? $"<{string.Join(", ", inner)}>" : "")}";

        static string Plain(string name) => name.Split('`')[0];
    }
}
