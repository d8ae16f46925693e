using System.Text;
using Tessera.Evaluation.Metrics;
using Tessera.Models;
using Tessera.Nn.Experts;
using Tessera.Nn.Heads;
using Tessera.Text.Corpora;
using Tessera.Training;
using Tessera.Training.Data;
using Tessera.Training.Objectives;

namespace Tessera.Evaluation.Tasks;

/// <summary>Measures one model on held-out examples.</summary>
internal sealed class ModelMeasurement
{
    private readonly ModelFolder _model;
    private readonly IReadOnlyList<Example> _examples;
    private readonly Objective _objective;
    private readonly BatchOptions _batches;
    private readonly GeneratedOutputs _generated;

    private ModelMeasurement(
        ModelFolder model, IReadOnlyList<Example> examples, Objective objective, BatchOptions batches, GeneratedOutputs generated,
        HeldOutLoss loss, SystemScore score) =>
        (_model, _examples, _objective, _batches, _generated, Loss, Score) = (
            model, examples, objective, batches, generated, loss, score);

    /// <summary>The loss over all examples.</summary>
    public HeldOutLoss Loss { get; }

    /// <summary>The figures.</summary>
    public SystemScore Score { get; }

    /// <summary>Some of what the model wrote.</summary>
    public IReadOnlyList<Sample> Samples => _generated.Samples;

    /// <summary>Whether examples are answered: they ask something, the model writes, and learned to answer.</summary>
    public static bool Answers(ModelFolder model, IReadOnlyList<Example> examples, EvaluationRequest request) => model.Model.Generates
        && examples.All(Question.IsIn)
        && (request.Objective is null or PairsOptions || (request.Objective is NextTokenOptions && !model.Model.ReadsSource));

    /// <summary>Measures a model.</summary>
    /// <param name="name">What it is called.</param>
    /// <param name="model">The model.</param>
    /// <param name="examples">The examples.</param>
    /// <param name="request">What to measure.</param>
    /// <param name="progress">Told what is being done.</param>
    /// <param name="cancellation">Stops between two tokens.</param>
    public static ModelMeasurement Of(
        string name, ModelFolder model, IReadOnlyList<Example> examples, EvaluationRequest request, Action<string>? progress,
        CancellationToken cancellation)
    {
        progress?.Invoke($"{name}: likelihood");
        var objective = ObjectiveFor(model, request);
        var batches = new BatchOptions { Length = model.Config.Length, SourceLength = model.Config.SourceLength };
        var data = objective.Prepare(examples, batches);
        var loss = HeldOutLoss.Measure(objective, data, int.MaxValue);
        var generated = Answers(model, examples, request)
            ? GeneratedOutputs.ToSources(
                model, examples, request, done => progress?.Invoke($"{name}: {done} of {examples.Count} outputs"), cancellation)
            : objective.Model is { Generates: true, ReadsSource: false }
                ? GeneratedOutputs.OfTexts(model, examples, request, cancellation)
                : GeneratedOutputs.None;
        var bytes = SpelledBytes(model, examples, data);
        var score = Fill(request, model, examples, loss, bytes, generated, LabelAccuracy.Measure(objective, data));
        var hasLoss = model.Model.Head is not ValueHead;
        return new ModelMeasurement(
            model, examples, objective, batches, generated, loss, score.Of(name, hasLoss ? loss.Tokens : 0, hasLoss ? bytes : 0));
    }

    /// <summary>A metric in counts of single examples; null where it does not follow from such.</summary>
    public AdditiveScore? Additive(Metric metric)
    {
        if (!Score.Values.ContainsKey(metric.Name)) return null;
        return metric.Name switch
        {
            "perplexity" => OfLosses(loss => loss.Tokens, nats => Math.Exp(nats)),
            "bits-per-byte" => OfLosses(loss => loss.Bytes, nats => nats / Math.Log(2)),
            _ => metric.Additive?.Invoke(_generated.Outputs, [.. _examples.Select(example => Question.Of(example).Wanted)]),
        };
    }

    /// <summary>The loss of each example, measured by itself.</summary>
    private IReadOnlyList<(double Nats, long Tokens, long Bytes)> Losses => field ??=
    [
        .. _examples.Select(example =>
        {
            try
            {
                var loss = HeldOutLoss.Measure(_objective, _objective.Prepare([example], _batches), int.MaxValue);
                return (loss.Nats, loss.Tokens, (long)Encoding.UTF8.GetByteCount(example.Target));
            }
            catch (InvalidDataException) // too long for the model: it counts in neither
            {
                return (0, 0, 0);
            }
        }),
    ];

    private AdditiveScore OfLosses(Func<(double Nats, long Tokens, long Bytes), long> units, Func<double, double> of)
    {
        var ratio = AdditiveScore.Ratio(Losses.Select(loss => (loss.Nats, (double)units(loss))));
        return ratio with { Of = sums => of(ratio.Of(sums)) };
    }

    /// <summary>What the model learned.</summary>
    public static Objective ObjectiveFor(ModelFolder model, EvaluationRequest request) =>
        (request.Objective ?? ObjectiveOptions.For(model.Model))
        .Build(new ObjectiveContext(model.Model, model.Tokenizer, model.PromptFormat));

    /// <summary>The bytes of all targets, where all of them, and nothing else, is predicted; else 0.</summary>
    private static long SpelledBytes(ModelFolder model, IReadOnlyList<Example> examples, Dataset data) =>
        model.Model.Generates && data.TooLong == 0 && examples.All(example => example.Conversation is null)
            ? examples.Sum(example => (long)Encoding.UTF8.GetByteCount(example.Target))
            : 0;

    private static ScoreSheet Fill(
        EvaluationRequest request, ModelFolder model, IReadOnlyList<Example> examples, HeldOutLoss loss, long bytes,
        GeneratedOutputs generated, LabelAccuracy? accuracy)
    {
        var sheet = new ScoreSheet();
        foreach (var metric in request.Metrics)
        {
            var value = metric.Name switch
            {
                "perplexity" => Known(model.Model.Head is not ValueHead, () => Math.Exp(loss.Mean), "the head gives no probabilities"),
                "bits-per-byte" => Known(
                    bytes > 0 && request.Objective is null or NextTokenOptions { PredictSource: false } or PairsOptions,
                    () => new Perplexity(loss.Nats, loss.Tokens, bytes).BitsPerByte,
                    "other or fewer tokens are predicted than the texts have"),
                "expert-use" => Known(loss.ExpertUse.Count > 0, () => MeanJain(loss), "the model has no routed experts"),
                "speed" => Known(generated.Tokens > 0, () => generated.Tokens / generated.Seconds, "no text was generated"),
                "accuracy" => Known(accuracy is { Total: > 0 }, () => 100 * accuracy!.Share, "the model tells no labels apart"),
                _ => Known(
                    generated.Outputs.Count > 0,
                    () => metric.Measure!(generated.Outputs, [.. examples.Select(example => Question.Of(example).Wanted)]),
                    model.Model.Generates ? "the examples have no sources to answer" : "the model generates no text"),
            };
            if (value.Reason is { } reason) sheet.Leave(metric.Name, reason);
            else sheet.Set(metric.Name, value.Value);
        }

        return sheet;

        static (double Value, string? Reason) Known(bool isKnown, Func<double> value, string otherwise) =>
            isKnown ? (value(), null) : (0, otherwise);
    }

    private static double MeanJain(HeldOutLoss loss) =>
        loss.ExpertUse.Values.Average(layer => JainIndex.Of([.. layer.Select(count => (double)count)]));
}
