using System.Diagnostics;
using Tessera.Generation;
using Tessera.Models;
using Tessera.Text.Corpora;

namespace Tessera.Evaluation.Tasks;

/// <summary>What a model wrote for held-out examples.</summary>
/// <param name="Outputs">Its answers to the sources of pairs, one each; none where texts were gone on with.</param>
/// <param name="Samples">Some of what it wrote, beside the truth.</param>
/// <param name="Tokens">How many tokens it wrote, ends included.</param>
/// <param name="Seconds">How long that took.</param>
internal sealed record GeneratedOutputs(IReadOnlyList<string> Outputs, IReadOnlyList<Sample> Samples, long Tokens, double Seconds)
{
    private const int SamplesShown = 12, Continuations = 6, LongestContinuation = 64, WarmUp = 4;

    /// <summary>As many tokens as are written where nobody says how many, by a model that could see more.</summary>
    private const int UsualTokens = 1024;

    /// <summary>Of a model that writes nothing.</summary>
    public static GeneratedOutputs None { get; } = new([], [], 0, 0);

    /// <summary>Answers the sources of pairs and the last turns of conversations. A source that leaves a decoder no
    /// position to write at is answered with nothing.</summary>
    public static GeneratedOutputs ToSources(
        ModelFolder model, IReadOnlyList<Example> examples, EvaluationRequest request, Action<int> progress, CancellationToken cancellation)
    {
        int[][] prompts = [.. examples.Select(example => Question.Prompt(model, example))];
        var room = model.Model.ReadsSource ? int.MaxValue : model.Model.LongestSequence;
        int[] fitting = [.. Enumerable.Range(0, prompts.Length).Where(i => prompts[i].Length < room)];
        var outputs = Enumerable.Repeat("", prompts.Length).ToArray();
        if (fitting.Length == 0) return new GeneratedOutputs(outputs, Shown(examples, outputs, request), 0, 0);

        var longest = model.Model.ReadsSource ? 0 : fitting.Max(i => prompts[i].Length);
        var wanted = request.Decoding.MaxNewTokens ?? Math.Min(model.Config.Length, UsualTokens);
        var most = Math.Min(wanted, model.Model.LongestSequence - longest);
        var (generated, tokens, seconds) = Run(model, [.. fitting.Select(i => prompts[i])], request.Decoding, most, progress, cancellation);
        for (var i = 0; i < fitting.Length; i++) outputs[fitting[i]] = generated[i];
        return new GeneratedOutputs(outputs, Shown(examples, outputs, request), tokens, seconds);
    }

    /// <summary>Goes on with the beginnings of some texts, and with places further inside of them where there are few.</summary>
    public static GeneratedOutputs OfTexts(
        ModelFolder model, IReadOnlyList<Example> examples, EvaluationRequest request, CancellationToken cancellation)
    {
        var (format, tokenizer) = (model.PromptFormat, model.Tokenizer);
        var opening = format.Opening(tokenizer);
        var texts = Math.Min(Continuations, examples.Count);
        var each = (Continuations + texts - 1) / texts;
        var most = Math.Min(request.Decoding.MaxNewTokens ?? LongestContinuation, LongestContinuation);
        var begun = new List<(int[] Prompt, int[] Truth)>();
        for (var i = 0; i < texts * each && begun.Count < Continuations; i++)
        {
            var ids = tokenizer.EncodeOrdinary(examples[i / each * examples.Count / texts].Target);
            var places = Math.Min(ids.Length / each, Math.Min(model.Config.Length, model.Model.LongestSequence) - opening.Length);
            var read = Math.Min(places / 2, LongestContinuation);
            if (read < 1) continue;
            var start = ids.Length / each * (i % each);
            begun.Add((ids[start..(start + read)], ids[(start + read)..(start + Math.Min(places, read + most))]));
        }

        if (begun.Count == 0) return None;
        var (generated, tokens, seconds) = Run(
            model, [.. begun.Select(text => (int[])[.. opening, .. text.Prompt])], request.Decoding with { MinNewTokens = 0 },
            begun.Max(text => text.Truth.Length), _ => { }, cancellation);
        return new GeneratedOutputs(
            [],
            [.. begun.Select((text, i) => new Sample(tokenizer.Decode(text.Prompt), tokenizer.Decode(text.Truth), generated[i], null))],
            tokens, seconds);
    }

    private static List<Sample> Shown(IReadOnlyList<Example> examples, string[] outputs, EvaluationRequest request)
    {
        var count = Math.Min(SamplesShown, outputs.Length);
        return [.. Enumerable.Range(0, count)
            .Select(i => i * outputs.Length / count)
            .Select(i => (Question: Question.Of(examples[i]), Output: outputs[i]))
            .Select(one => new Sample(one.Question.Asked, one.Question.Wanted, one.Output, request.Validator?.IsValid(one.Output)))];
    }

    private static (string[] Outputs, long Tokens, double Seconds) Run(
        ModelFolder model, int[][] prompts, DecodingOptions decoding, int most, Action<int> progress, CancellationToken cancellation)
    {
        // What is done the first time only is no part of the speed.
        _ = Generator.Generate(
            model.Model, [prompts[0]], new GreedyOptions(), Math.Min(WarmUp, most), [], wantsScores: false, cancellation: cancellation);
        var clock = Stopwatch.StartNew();
        var generated = Generator.Generate(
            model.Model, prompts, decoding, most, model.PromptFormat.StopTokens, progress, wantsScores: false, cancellation);
        var seconds = clock.Elapsed.TotalSeconds;
        return (
            [.. generated.Select(found => model.Tokenizer.Decode([.. found.Ids]))],
            generated.Sum(found => (long)found.Ids.Count + (found.FinishReason == FinishReason.StopToken ? 1 : 0)), seconds);
    }
}
