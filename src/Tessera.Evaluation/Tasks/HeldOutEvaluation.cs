using Tessera.Evaluation.Metrics;
using Tessera.Generation;
using Tessera.Generation.Validation;
using Tessera.Models;
using Tessera.Text.Corpora;
using Tessera.Training.Data;
using Tessera.Training.Objectives;

namespace Tessera.Evaluation.Tasks;

/// <summary>What to measure, and how to generate.</summary>
/// <param name="Metrics">The metrics wanted.</param>
/// <param name="Decoding">How outputs are generated.</param>
/// <param name="Validator">Says which of the samples are well formed; null to leave it open.</param>
/// <param name="Examples">How many examples at most, spread over the split.</param>
/// <param name="Baselines">Whether to measure what has learned nothing too: an untrained model; for pairs the nearest training pair; for
/// texts frequencies of tokens and an even guess.</param>
/// <param name="Objective">What the model learned, for its perplexity; where null, what its kind learns where nobody says
/// otherwise.</param>
public sealed record EvaluationRequest(
    IReadOnlyList<Metric> Metrics, DecodingOptions Decoding, SyntaxValidator? Validator = null, int Examples = 500, bool Baselines = true,
    ObjectiveOptions? Objective = null)
{
    /// <summary>Whether an untrained model is one of the baselines: of a model that did not begin with random weights it says
    /// little.</summary>
    public bool Untrained { get; init; } = true;

    /// <summary>Another model to measure on the same examples, with its name; none where null.</summary>
    public (string Name, ModelFolder Model)? Beside { get; init; }
}

/// <summary>Measures a model on examples held out from training: answers to sources against their targets where examples are pairs,
/// perplexity, continuations of texts, accuracy of labels.</summary>
public static class HeldOutEvaluation
{
    /// <summary>Evaluates a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="corpus">The test split is used, or the validation split where there is none; baselines learn from the training
    /// split.</param>
    /// <param name="request">What to measure.</param>
    /// <param name="seed">Of the untrained model's weights.</param>
    /// <param name="progress">Told what is being done.</param>
    /// <param name="cancellation">Stops between two tokens.</param>
    /// <exception cref="InvalidDataException">There are no examples to evaluate on.</exception>
    public static EvaluationResult Run(
        ModelFolder model, Corpus corpus, EvaluationRequest request, ulong seed = 1, Action<string>? progress = null,
        CancellationToken cancellation = default)
    {
        var (split, examples) = HeldOutExamples.Of(corpus, request.Examples);
        var own = ModelMeasurement.Of("this model", model, examples, request, progress, cancellation);
        var systems = new List<SystemScore> { own.Score };
        IReadOnlyList<Comparison> comparisons = [];
        if (request.Beside is var (name, other))
        {
            var beside = ModelMeasurement.Of(name, other, examples, request, progress, cancellation);
            systems.Add(beside.Score);
            progress?.Invoke("comparison");
            comparisons = Compare(own, beside, request.Metrics);
        }

        if (request.Baselines)
            systems.AddRange(BaselinesOf(model, own.Score, corpus.Train, examples, request, seed, progress, cancellation));
        return new EvaluationResult(split, examples.Count, systems, own.Samples, own.Loss.ExpertUse) { Comparisons = comparisons };
    }

    private static IEnumerable<SystemScore> BaselinesOf(
        ModelFolder model, SystemScore score, IReadOnlyList<Example> train, IReadOnlyList<Example> examples, EvaluationRequest request,
        ulong seed, Action<string>? progress, CancellationToken cancellation)
    {
        if (!model.Model.Generates) yield break;
        if (ModelMeasurement.Answers(model, examples, request) && train.Concat(examples).All(example => example.Source is not null))
        {
            progress?.Invoke("nearest training pair");
            yield return Baselines.NearestPair(train, examples, request);
        }
        else
        {
            progress?.Invoke("frequencies of tokens");
            var batches = new BatchOptions { Length = model.Config.Length, SourceLength = model.Config.SourceLength };
            var objective = ModelMeasurement.ObjectiveFor(model, request);
            foreach (var found in Baselines.OfTokens(objective, train, examples, batches, score, request)) yield return found;
        }

        if (!request.Untrained) yield break;
        var untrained = model with { Model = model.Config.Model.Build(model.Config.Vocabulary, seed) };
        yield return ModelMeasurement.Of("untrained model", untrained, examples, request, progress, cancellation).Score;
    }

    private static List<Comparison> Compare(ModelMeasurement own, ModelMeasurement beside, IReadOnlyList<Metric> metrics)
    {
        var found = new List<Comparison>();
        foreach (var metric in metrics)
        {
            // Perplexities of different tokens say nothing beside each other; bits per byte do.
            if (metric.Name == "perplexity" && own.Score.Tokens != beside.Score.Tokens) continue;
            if (!own.Score.Values.TryGetValue(metric.Name, out var value)) continue;
            if (!beside.Score.Values.TryGetValue(metric.Name, out var other)) continue;
            var p = own.Additive(metric) is { } first && beside.Additive(metric) is { } second
                ? PairedBootstrap.Compare(first, second).PValue
                : (double?)null;
            found.Add(new Comparison(metric.Name, value, other, p));
        }

        return found;
    }
}
