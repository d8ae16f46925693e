using System.CommandLine;
using Tessera.Cli.Terminal;
using Tessera.CSharp.Validation;
using Tessera.Evaluation.Tasks;
using Tessera.Generation;
using Tessera.Models;
using Tessera.Training;

namespace Tessera.Cli.Commands;

/// <summary><c>tessera evaluate MODEL</c>.</summary>
internal sealed class EvaluateCommand
{
    private static readonly string[] s_usual = ["bleu-4", "exact-match", "perplexity"];
    private static readonly string[] s_usualOfTexts = ["perplexity", "bits-per-byte", "speed"];
    private static readonly string[] s_usualOfLabels = ["accuracy", "perplexity"];

    private readonly Argument<string> _model = new("model")
    {
        Description = "The folder of a run or of a checkpoint; with --text, --recipe or --corpus any model's folder or GGUF file.",
    };
    private readonly Option<string?> _checkpoint = CommonOptions.Checkpoint();
    private readonly Option<string[]> _metrics = new("--metric")
    {
        Description = $"A metric, instead of the recipe's; may be repeated: {string.Join(", ", Metric.Names)}.",
        DefaultValueFactory = _ => [],
    };
    private readonly Option<int> _examples = new("--examples")
    {
        Description = "How many held-out examples at most.", DefaultValueFactory = _ => 500,
    };
    private readonly Option<bool> _noBaselines = new("--no-baselines")
    {
        Description = "Leave out the untrained model and, of pairs, the nearest training pair or, of texts, frequencies of tokens.",
    };
    private readonly Option<string?> _beside = new("--beside")
    {
        Description = "Another model to measure on the same data, with p by paired bootstrap; 'base': the one that the run started from.",
    };
    private readonly EvaluationData _data = new();
    private readonly TextArguments _texts = new();
    private readonly DecodingArguments _decoding = new();
    private readonly Option<bool> _force = CommonOptions.Force();
    private readonly Option<bool> _json = CommonOptions.Json();

    public static Command Create()
    {
        var arguments = new EvaluateCommand();
        var command = new Command("evaluate", CommonOptions.WithExamples(
            "Measures a trained model on held-out examples beside baselines, keeps the figures in the run's folder (evaluations/) and "
            + "writes its report.html. With --text, the perplexity of any decoder on any texts.",
            "tessera evaluate runs/quickstart",
            "tessera evaluate runs/quickstart --beam 5 --examples 200",
            "tessera evaluate runs/java-cs --metric codexglue-bleu --metric exact-match --no-baselines",
            "tessera evaluate runs/notes --checkpoint 400",
            "tessera evaluate runs/notes-lora --beside base",
            "tessera evaluate models/Qwen3-0.6B --text book.txt --context 512 --stride 256",
            "tessera evaluate model.gguf --recipe recipes/notes.json"))
        {
            arguments._model, arguments._checkpoint, arguments._metrics, arguments._examples, arguments._noBaselines, arguments._beside,
            arguments._force, arguments._json,
        };
        arguments._data.AddTo(command);
        arguments._texts.AddTo(command);
        arguments._decoding.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            arguments.Run(parsed, cancellation);
            return Task.FromResult(CommandRunner.Success);
        });
        return command;
    }

    /// <summary>Evaluates a finished run and writes its report; also for quickstart.</summary>
    public static EvaluationResult Run(
        RunFolder folder, Recipe recipe, ModelFolder model, EvaluationRequest request, string? dataFolder, Screen screen,
        CancellationToken cancellation)
    {
        var corpus = recipe.Data.Load(dataFolder ?? File.ReadAllText(folder.Origin).Trim(), cancellation);
        return new RunEvaluation(folder.Path, folder, recipe, model, Checkpoint: null)
            .OnCorpus(corpus, recipe, request, screen, cancellation);
    }

    private void Run(ParseResult parsed, CancellationToken cancellation)
    {
        var count = parsed.GetValue(_examples);
        if (count < 1) throw new ArgumentException($"--examples is {count}; allowed: at least 1");
        var screen = new Screen(parsed.GetValue(_json));
        if (_texts.AreGiven(parsed))
        {
            RequireAbsent(parsed, [_metrics, _examples, _noBaselines, .. _data.All, .. _decoding.All]);
            var texts = _texts.Read(parsed, cancellation);
            var measured = Load(parsed, cancellation);
            measured.OnTexts(texts, Beside(parsed, measured, cancellation), screen, cancellation);
            return;
        }

        _texts.RequireNone(parsed);
        var evaluation = Load(parsed, cancellation);
        var (corpus, recipe) = _data.Read(parsed, evaluation, cancellation);
        var names = parsed.GetValue(_metrics) is { Length: > 0 } given ? given
            : recipe is { Evaluate.Count: > 0 } ? [.. recipe.Evaluate]
            : !evaluation.Model.Model.Generates ? s_usualOfLabels
            : corpus.Train[0] is { Source: null, Conversation: null } ? s_usualOfTexts : s_usual;
        var validator = new CSharpSyntaxValidator();
        var decoding = _decoding.For(parsed, _decoding.Read(parsed), evaluation.Model);
        var request = new EvaluationRequest(
            Metric.Named(names, validator), decoding, names.Contains("validity") ? validator : null, count,
            !parsed.GetValue(_noBaselines), recipe?.Phases[^1].Objective)
        {
            Untrained = evaluation.Recipe is { Start: null },
            Beside = Beside(parsed, evaluation, cancellation),
        };
        evaluation.OnCorpus(corpus, recipe, request, screen, cancellation);
    }

    private RunEvaluation Load(ParseResult parsed, CancellationToken cancellation)
    {
        var evaluation = RunEvaluation.Load(parsed.GetRequiredValue(_model), parsed.GetValue(_checkpoint));
        CommonOptions.ReadWeights(evaluation.Model.Model, parsed.GetValue(_force), cancellation);
        return evaluation;
    }

    private (string Name, ModelFolder Model)? Beside(ParseResult parsed, RunEvaluation evaluation, CancellationToken cancellation)
    {
        if (parsed.GetValue(_beside) is not { } name) return null;
        var path = name != "base" ? name : evaluation.Recipe?.Start
            ?? throw new ArgumentException(
                $"--beside is base, but '{evaluation.Path}' started from no model; allowed: the path of a model");
        var model = RunModel.Load(path);
        CommonOptions.ReadWeights(model.Model, parsed.GetValue(_force), cancellation);
        return (name, model);
    }

    private static void RequireAbsent(ParseResult parsed, IReadOnlyList<Option> options)
    {
        if (options.FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false }) is { } given)
            throw new ArgumentException($"--text and {given.Name} exclude each other");
    }
}
