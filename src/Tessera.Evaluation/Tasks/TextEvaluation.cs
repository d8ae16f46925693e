using Tessera.Evaluation.Metrics;
using Tessera.Models;

namespace Tessera.Evaluation.Tasks;

/// <summary>The perplexity of any decoder on any texts: a run, a checkpoint, a folder of Hugging Face's, a GGUF file.</summary>
/// <param name="Context">Tokens of a window; as many as the models were trained on, at most 1,024, where null.</param>
/// <param name="Stride">How many tokens further on the next window begins; half the context where null.</param>
public sealed record TextEvaluation(int? Context = null, int? Stride = null)
{
    private const int UsualContext = 1024;

    /// <summary>The metrics of texts: bits per byte compare models with different tokenizers, perplexities do not.</summary>
    public static IReadOnlyList<string> Metrics { get; } = ["perplexity", "bits-per-byte"];

    /// <summary>Another model to measure on the same texts, with its name; none where null.</summary>
    public (string Name, ModelFolder Model)? Beside { get; init; }

    /// <summary>Measures models on texts.</summary>
    /// <param name="model">A decoder.</param>
    /// <param name="texts">The texts; each begins anew.</param>
    /// <param name="progress">Told what is being done.</param>
    /// <param name="cancellation">Stops between two passes.</param>
    /// <exception cref="ArgumentException">Context or stride is out of its range.</exception>
    /// <exception cref="InvalidDataException">A model is no decoder, or no text has two tokens.</exception>
    public EvaluationResult Run(
        ModelFolder model, IReadOnlyList<string> texts, Action<string>? progress = null, CancellationToken cancellation = default)
    {
        TextPerplexity.RequireDecoder(model);
        if (Beside is { } other) TextPerplexity.RequireDecoder(other.Model);
        var context = Context ?? Math.Min(ContextOf(model), Beside is var (_, beside) ? ContextOf(beside) : int.MaxValue);
        var stride = Stride ?? Math.Max(1, context / 2);
        var own = Measure("this model", model);
        var systems = new List<SystemScore> { Score("this model", own) };
        IReadOnlyList<Comparison> comparisons = [];
        if (Beside is var (name, second))
        {
            var found = Measure(name, second);
            systems.Add(Score(name, found));
            comparisons = Compare(systems[0], own, systems[1], found);
        }

        var total = Sum(own);
        if (total.Tokens == 0) throw new InvalidDataException("the texts have nothing to predict: none has two tokens");
        systems.Add(Score("even guess", total with { Nats = total.Tokens * Math.Log(model.Model.Vocabulary) }));
        return new EvaluationResult("text", texts.Count, systems, [], new Dictionary<string, IReadOnlyList<long>>())
        {
            Comparisons = comparisons, Windows = new TextWindows(context, stride, own.Sum(text => text.Windows)),
        };

        IReadOnlyList<TextPerplexity> Measure(string system, ModelFolder measured) =>
        [
            .. texts.Select((text, i) => TextPerplexity.Measure(
                measured, text, context, stride,
                (done, of) => progress?.Invoke($"{system}: text {i + 1} of {texts.Count}, {done:N0} of {of:N0} tokens"), cancellation)),
        ];
    }

    private static int ContextOf(ModelFolder model) =>
        Math.Max(2, Math.Min(UsualContext, Math.Min(model.Config.Length, model.Model.LongestSequence)));

    private static Perplexity Sum(IReadOnlyList<TextPerplexity> texts) =>
        texts.Aggregate(new Perplexity(0, 0), (sum, text) => sum + text.Total);

    private static SystemScore Score(string system, IReadOnlyList<TextPerplexity> texts) => Score(system, Sum(texts));

    private static SystemScore Score(string system, Perplexity measure)
    {
        var sheet = new ScoreSheet();
        sheet.Set("perplexity", measure.Value);
        sheet.Set("bits-per-byte", measure.BitsPerByte);
        return sheet.Of(system, measure.Tokens, measure.Bytes);
    }

    /// <summary>Compares by what was read at once where both models cut the texts alike, else by whole texts.</summary>
    private static List<Comparison> Compare(
        SystemScore score, IReadOnlyList<TextPerplexity> own, SystemScore other, IReadOnlyList<TextPerplexity> beside)
    {
        var isAlike = own.Zip(beside).All(pair => pair.First.Passes.Select(pass => pass.Tokens)
            .SequenceEqual(pair.Second.Passes.Select(pass => pass.Tokens)));
        var found = new List<Comparison>();
        foreach (var metric in Metrics)
        {
            if (metric == "perplexity" && score.Tokens != other.Tokens) continue; // of different tokens
            if (!score.Values.TryGetValue(metric, out var value) || !other.Values.TryGetValue(metric, out var second)) continue;
            var (first, last) = (Additive(own, metric, isAlike), Additive(beside, metric, isAlike));
            found.Add(new Comparison(metric, value, second, first.Counts.Count < 2 ? null : PairedBootstrap.Compare(first, last).PValue));
        }

        return found;
    }

    /// <summary>Of passes, whose bytes are not known, bits per token stand for bits per byte: the bytes are the same for both.</summary>
    private static AdditiveScore Additive(IReadOnlyList<TextPerplexity> texts, string metric, bool ofPasses)
    {
        var parts = ofPasses ? texts.SelectMany(text => text.Passes) : texts.Select(text => text.Total);
        var isPerToken = ofPasses || metric == "perplexity";
        var ratio = AdditiveScore.Ratio(parts.Select(part => (part.Nats, (double)(isPerToken ? part.Tokens : part.Bytes))));
        return metric == "perplexity" ? ratio with { Of = sums => Math.Exp(ratio.Of(sums)) } : ratio;
    }
}
