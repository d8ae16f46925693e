using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Tessera.Models;
using Tessera.Models.Decoding;
using Tessera.Models.Formats.Gguf;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Positions;
using Tessera.Tensors;
using Tessera.Text.Tokenizers;

namespace Tessera.Benchmarks.Peers;

/// <summary>
/// How fast a GGUF file with random weights reads a prompt and goes on with it, against llama.cpp on the same file; each side in a process
/// of its own, in turn.
/// </summary>
internal static class LlamaCppRows
{
    private const int Rounds = 2, Runs = 3, PromptTokens = 512, NewTokens = 64, Vocabulary = 32000;

    private static readonly Lazy<string?> s_missing = new(WhyMissing);
    private static bool s_isSaid;

    /// <summary>The files that are compared, by the names of their rows.</summary>
    public static IEnumerable<(string Name, Action<Report, TorchPeer> Run)> All =>
        from model in (string[])["dense", "experts"]
        from type in model == "dense"
            ? (ElementType[])[ElementType.Q8_0, ElementType.Q4_0, ElementType.Q4_K, ElementType.BF16, ElementType.F32]
            : [ElementType.Q8_0, ElementType.Q4_0]
        select ($"llama-{model}-{type.ToString().ToLowerInvariant()}",
            (Action<Report, TorchPeer>)((report, _) => Run(report, model, type)));

    /// <summary>Our side, in a process of its own: prints one line of JSON.</summary>
    /// <param name="file">A GGUF file.</param>
    public static void RunChild(string file)
    {
        var model = ModelFolder.Load(file, asStored: true).Model;
        int[] prompt = [.. Enumerable.Range(0, PromptTokens).Select(place => 3 + (place * 7919 % (model.Vocabulary - 3)))];
        var (reading, writing) = (double.MaxValue, double.MaxValue);
        for (var run = 0; run <= Runs; run++)
        {
            var session = new DecodingSession(model);
            session.Reserve(1, PromptTokens + NewTokens + 1);
            var sequence = session.Add();
            sequence.Read(prompt);
            var start = Stopwatch.GetTimestamp();
            var token = Next(session);
            var middle = Stopwatch.GetTimestamp();
            for (var count = 0; count < NewTokens; count++)
            {
                sequence.Read(token);
                token = Next(session);
            }

            if (run == 0) continue; // the compiler is at work
            reading = Math.Min(reading, Stopwatch.GetElapsedTime(start, middle).TotalSeconds);
            writing = Math.Min(writing, Stopwatch.GetElapsedTime(middle).TotalSeconds);
        }

        Console.WriteLine(JsonSerializer.Serialize(
            new { prompt_tokens_per_second = PromptTokens / reading, tokens_per_second = NewTokens / writing }));
    }

    private static int Next(DecodingSession session)
    {
        using var scope = Arena.Current.Scope();
        return System.Numerics.Tensors.TensorPrimitives.IndexOfMax(session.Step().Floats);
    }

    private static void Run(Report report, string name, ElementType type)
    {
        if (s_missing.Value is { } reason)
        {
            if (!s_isSaid) report.Skip("llama.cpp, all rows", reason);
            s_isSaid = true;
            return;
        }

        var folder = Directory.CreateTempSubdirectory("tessera-llama-cpp").FullName;
        try
        {
            var file = Path.Combine(folder, "model.gguf");
            var (met, all) = Write(name, type, file);
            var (ours, theirs, tool) = (new Rate(0, 0), new Rate(0, 0), "");
            for (var round = 0; round < Rounds; round++)
            {
                var line = Child.Run("node", [Script, file, .. Numbers(Processor.Threads, PromptTokens, NewTokens, Runs)]).Lines[^1];
                (theirs, tool) = (theirs.Best(line), line.GetProperty("tool").GetString()!);
                ours = ours.Best(Child.RunOwn("llama-child", file).Lines[^1]);
            }

            var work = $"{name} model of {all / 1e6:F0} M, {type}, against {tool}";
            var bytes = (double)new FileInfo(file).Length * met / all;
            report.Compare(
                $"{work}: decode", Text(ours.New), Text(theirs.New), ours.New / theirs.New, Peak.ShareOfBandwidth(ours.New * bytes),
                Targets.LlamaCpp);
            report.Compare(
                $"{work}: prompt of {PromptTokens}", Text(ours.Prompt), Text(theirs.Prompt), ours.Prompt / theirs.Prompt,
                $"{Report.Number(2 * met * ours.Prompt / Most(type))} of peak", Targets.LlamaCpp);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        static string Text(double rate) => $"{Report.Number(rate)} tokens/s";
    }

    /// <summary>Operations a second that are possible with weights of a type.</summary>
    private static double Most(ElementType type) => type switch
    {
        ElementType.F32 => Peak.F32,
        ElementType.BF16 => Peak.Bf16,
        _ => Peak.Bytes,
    };

    private static string? WhyMissing()
    {
        try
        {
            Child.Run("node", Script);
            return null;
        }
        catch (NotHereException missing)
        {
            return missing.Message;
        }
    }

    private static string Script => Path.Combine(AppContext.BaseDirectory, "peers", "llama_cpp_rate.mjs");

    private static IEnumerable<string> Numbers(params int[] numbers) =>
        numbers.Select(number => number.ToString(CultureInfo.InvariantCulture));

    /// <summary>Writes a model with random weights.</summary>
    /// <returns>How many weights a token meets, and how many there are.</returns>
    private static (long Met, long All) Write(string name, ElementType type, string file)
    {
        var (width, layers, heads, hidden) = name == "dense" ? (768, 12, 12, 2048) : (512, 8, 8, 512);
        const int Experts = 16, Used = 2;
        var options = new DecoderOptions
        {
            Width = width,
            Decoder = new TransformerOptions
            {
                Layers = layers,
                Attention = new MultiHeadOptions(heads) { Position = new RotaryOptions() },
                FeedForward = name == "dense" ? new SwiGluOptions(hidden) : new ExpertsOptions(Experts, Used, new SwiGluOptions(hidden)),
            },
        };
        var model = options.Build(Vocabulary, seed: 1);
        var writer = GgufModel.Writer(options, model, type);
        GgufTokenizer.Write(OwnModels.Tokens(Vocabulary), writer.Metadata);
        writer.Save(file);
        var all = model.ParameterCount();
        var idle = name == "dense" ? 0 : (long)layers * (Experts - Used) * 3 * width * hidden;
        return (all - ((long)Vocabulary * width) - idle, all); // embeddings are looked up
    }

    /// <summary>Tokens a second.</summary>
    private readonly record struct Rate(double Prompt, double New)
    {
        public Rate Best(JsonElement line) => new(
            Math.Max(Prompt, TorchPeer.Number(line, "prompt_tokens_per_second")),
            Math.Max(New, TorchPeer.Number(line, "tokens_per_second")));
    }
}
