using System.Diagnostics;
using Tessera.Evaluation.Metrics;
using Tessera.Generation;
using Tessera.Generation.Validation;
using Tessera.Models;
using Tessera.Nn.Experts;
using Tessera.Nn.Heads;
using Tessera.Text.Corpora;
using Tessera.Training;
using Tessera.Training.Data;
using Tessera.Training.Objectives;

namespace Tessera.Evaluation.Tasks;

/// <summary>What to measure, and how to generate.</summary>
/// <param name="Metrics">The metrics wanted.</param>
/// <param name="Decoding">How outputs are generated.</param>
/// <param name="Validator">Says which of the samples are well formed; null to leave it open.</param>
/// <param name="Examples">How many examples at most, spread over the split.</param>
/// <param name="Baselines">Whether to measure an untrained model and the nearest training pair too.</param>
/// <param name="Objective">What the model learned, for its perplexity; where null, what its kind learns where nobody says
/// otherwise.</param>
public sealed record EvaluationRequest(
    IReadOnlyList<Metric> Metrics, DecodingOptions Decoding, SyntaxValidator? Validator = null, int Examples = 500, bool Baselines = true,
    ObjectiveOptions? Objective = null);

/// <summary>Generates for held-out sources and compares with their targets; for a model of plain text, its perplexity alone, and for one of
/// labels, its accuracy.</summary>
public sealed class HeldOutEvaluation
{
    private const int SamplesShown = 12;

    private readonly Corpus _corpus;
    private readonly EvaluationRequest _request;
    private readonly IReadOnlyList<Example> _examples;
    private readonly string _split;
    private readonly bool _isTranslation;

    private HeldOutEvaluation(Corpus corpus, EvaluationRequest request, bool readsSource)
    {
        (_corpus, _request) = (corpus, request);
        (_split, var all) = corpus.Test.Count > 0 ? ("test", corpus.Test) : ("validation", corpus.Validation);
        if (all.Count == 0)
            throw new InvalidDataException(
                "data: the corpus has neither test nor validation examples; set data.testFraction, "
                + "or give it more than two groups of examples");
        var count = Math.Min(request.Examples, all.Count);
        _examples = [.. Enumerable.Range(0, count).Select(i => all[(int)((long)i * all.Count / count)])];
        _isTranslation = readsSource && (request.Objective is null or PairsOptions);
    }

    /// <summary>Evaluates a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="corpus">Its corpus: the test split is used, or the validation split where there is none.</param>
    /// <param name="request">What to measure.</param>
    /// <param name="seed">Of the untrained model's weights.</param>
    /// <param name="progress">Told what is being done.</param>
    /// <param name="cancellation">Stops between two tokens.</param>
    /// <exception cref="InvalidDataException">There are no examples to evaluate on.</exception>
    public static EvaluationResult Run(
        ModelFolder model, Corpus corpus, EvaluationRequest request, ulong seed = 1, Action<string>? progress = null,
            CancellationToken cancellation = default)
    {
        var evaluation = new HeldOutEvaluation(corpus, request, model.Model.ReadsSource);
        var (score, outputs, loss) = evaluation.OfModel("this model", model, progress, cancellation);
        var systems = new List<SystemScore> { score };
        if (request.Baselines && evaluation._isTranslation)
        {
            progress?.Invoke("nearest training pair");
            systems.Add(evaluation.OfNearestPair());
            var untrained = model with { Model = model.Config.Model.Build(model.Config.Vocabulary, seed) };
            systems.Add(evaluation.OfModel("untrained model", untrained, progress, cancellation).Score);
        }

        return new EvaluationResult(evaluation._split, evaluation._examples.Count, systems, evaluation.Samples(outputs), loss.ExpertUse);
    }

    private (SystemScore Score, IReadOnlyList<string> Outputs, HeldOutLoss Loss) OfModel(
        string name, ModelFolder model, Action<string>? progress, CancellationToken cancellation)
    {
        progress?.Invoke($"{name}: likelihood");
        var options = new BatchOptions { Length = model.Config.Length, SourceLength = model.Config.SourceLength };
        var objective = (_request.Objective ?? ObjectiveOptions.For(model.Model))
            .Build(new ObjectiveContext(model.Model, model.Tokenizer, model.PromptFormat));
        var data = objective.Prepare(_examples, options);
        var loss = HeldOutLoss.Measure(objective, data, int.MaxValue);
        var (outputs, seconds, tokens) = ((IReadOnlyList<string>)[], 0.0, 0L);
        if (_isTranslation)
        {
            var clock = Stopwatch.StartNew();
            var generated = Generator.Generate(
                model.Model, [.. _examples.Select(example => Source(model, example.Source!))], _request.Decoding,
                _request.Decoding.MaxNewTokens ?? model.Config.Length, model.PromptFormat.StopTokens,
                done => progress?.Invoke($"{name}: {done} of {_examples.Count} outputs"),
                wantsScores: false, cancellation);
            (outputs, seconds) = ([.. generated.Select(found => model.Tokenizer.Decode([.. found.Ids]))], clock.Elapsed.TotalSeconds);
            tokens = generated.Sum(found => (long)found.Ids.Count + (found.FinishReason == FinishReason.StopToken ? 1 : 0));
        }

        var use = loss.ExpertUse.Count == 0
            ? double.NaN
            : loss.ExpertUse.Values.Average(layer => JainIndex.Of([.. layer.Select(count => (double)count)]));
        var score = Score(name, outputs, metric => metric switch
        {
            "perplexity" => model.Model.Head is ValueHead ? double.NaN : Math.Exp(loss.Mean),
            "expert-use" => use,
            "speed" => tokens / seconds,
            "accuracy" => 100 * LabelAccuracy.Measure(objective, data)?.Share ?? double.NaN,
            _ => double.NaN,
        });
        return (score, outputs, loss);
    }

    /// <summary>A source with its end; where it is too long it is cut, as it was in training.</summary>
    private static int[] Source(ModelFolder model, string text) =>
        model.PromptFormat.EncodeSource(model.Tokenizer, text, model.Config.SourceLength);

    private SystemScore OfNearestPair()
    {
        var nearest = new NearestPairBaseline([.. _corpus.Train.Select(example => (example.Source!, example.Target))]);
        return Score("nearest training pair", [.. _examples.Select(example => nearest.Predict(example.Source!))], _ => double.NaN);
    }

    private SystemScore Score(string name, IReadOnlyList<string> outputs, Func<string, double> other)
    {
        var references = _examples.Select(example => example.Target).ToList();
        return new SystemScore(name, _request.Metrics.ToDictionary(
            metric => metric.Name,
            metric => metric.Measure is null ? other(metric.Name) : outputs.Count == 0 ? double.NaN : metric.Measure(outputs, references)));
    }

    private List<Sample> Samples(IReadOnlyList<string> outputs)
    {
        var count = Math.Min(SamplesShown, outputs.Count);
        return [.. Enumerable.Range(0, count)
            .Select(i => i * outputs.Count / count)
            .Select(i => new Sample(_examples[i].Source!, _examples[i].Target, outputs[i], _request.Validator?.IsValid(outputs[i])))];
    }
}
