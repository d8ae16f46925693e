using Tessera.Models;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Nn.Experts;
using Tessera.Nn.Lora;
using Tessera.Tensors;
using Tessera.Text.Tokenizers;
using Tessera.Training;
using Tessera.Training.Optimizers;
using Tessera.Training.Phases;

namespace Tessera.Cli;

/// <summary>The model that a recipe trains, to be looked at: no data is read, and no weight is drawn.</summary>
internal sealed class RecipeModel
{
    private readonly Recipe _recipe;
    private readonly ModelFolder? _start;

    /// <summary>Builds the model, or opens the one that the recipe starts from, and attaches the adapters.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="folder">Where its tokenizer's file is sought.</param>
    /// <exception cref="RecipeException">The model, the adapters or the start are not allowed.</exception>
    public RecipeModel(Recipe recipe, string folder)
    {
        _recipe = recipe;
        if (recipe.Start is { } start)
        {
            _start = ModelFolder.Load(start, asStored: recipe.Lora is not null);
            Model = WithStart(_start);
        }
        else
        {
            var file = recipe.Tokenizer.File is { } name ? Path.Combine(folder, name) : null;
            // Training may be told another folder (--data); there the file's size is not known here.
            Model = recipe.Model.Build(File.Exists(file) ? Tokenizer.Load(file).VocabularySize : recipe.Tokenizer.Vocabulary, recipe.Seed);
        }

        if (recipe.Lora is { } lora) Adapters = LoraAdapters.Attach(Model, lora, new CounterRandom(recipe.Seed));
    }

    /// <summary>The model, with as many tokens as its tokenizer has, or will have been trained to have.</summary>
    public SequenceModel Model { get; }

    /// <summary>What learns instead of the model; null where the model does.</summary>
    public LoraAdapters? Adapters { get; }

    /// <summary>How many weights learn in some phase.</summary>
    public long Learning => Parameters.Where(own => own.Parameter.IsTrained && _recipe.Phases.Any(phase => Learns(own.Name, Rules(phase))))
        .Sum(own => own.Parameter.Shape.Count);

    private IReadOnlyList<(string Name, Parameter Parameter)> Parameters => ((Module?)Adapters ?? Model).Parameters();

    /// <summary>Throws for what training would refuse before its first step, data aside.</summary>
    /// <exception cref="RecipeException">Something is not allowed.</exception>
    /// <exception cref="InvalidDataException">The start has no tokenizer.</exception>
    public void Check()
    {
        if (_start is not null) CheckStart(_start);
        RequirePositions("batches.length", _recipe.Batches.Length, Model.LongestSequence);
        if (Model.ReadsSource) RequirePositions("batches.sourceLength", _recipe.Batches.SourceLength, Model.LongestSource);
        RequireFit("optimizer.rules", _recipe.Optimizer.Rules);
        for (var index = 0; index < _recipe.Phases.Count; index++) CheckPhase(_recipe.Phases[index], $"phases[{index}]");
    }

    private void CheckStart(ModelFolder start)
    {
        if (start.Adapters is not null) throw new RecipeException("start", $"is '{_recipe.Start}', adapters beside a model; merge them first (tessera merge)");
        if (Adapters is null && start.Path is null)
            throw new RecipeException("start", $"is '{_recipe.Start}', a file whose weights cannot be written back; convert it to a folder, or train adapters (lora)");
        if (_recipe.Tokenizer.Vocabulary != new TokenizerOptions().Vocabulary)
            throw new RecipeException("tokenizer.vocabulary", $"is {_recipe.Tokenizer.Vocabulary} with a start, which has a tokenizer of its own of {start.Tokenizer.VocabularySize} tokens; leave it out");
        _ = start.Tokenizer;
        if (Adapters is not null) _ = PeftAdapter.Tensors(Adapters, start.Names).ToList(); // what cannot be named cannot be saved at the end
    }

    private void CheckPhase(Phase phase, string path)
    {
        RequireFit($"{path}.rules", phase.Rules ?? []);
        if (!Parameters.Any(own => own.Parameter.IsTrained && Learns(own.Name, Rules(phase))))
            throw new RecipeException(phase.Rules is null ? "optimizer.rules" : $"{path}.rules", "freezes all parameters; allowed: rules that leave something to learn");
        var offered = Losses().ToList();
        if (phase.Losses.Keys.FirstOrDefault(name => !offered.Contains(name)) is { } unknown)
            throw new RecipeException($"{path}.losses.{unknown}", $"is no loss of this model; allowed: {(offered.Count == 0 ? "none, this model's parts report no losses" : string.Join(", ", offered))}");
    }

    private void RequireFit(string path, IReadOnlyList<ParameterRule> rules)
    {
        var names = Parameters.Select(own => own.Name).ToList();
        for (var index = 0; index < rules.Count; index++)
        {
            if (!names.Exists(rules[index].Fits))
                throw new RecipeException($"{path}[{index}].pattern", $"is '{rules[index].Pattern}', which fits no parameter; a name is, for example, {names[0]}");
        }
    }

    /// <summary>The losses that the model's parts report, which they say themselves only in a step.</summary>
    private IEnumerable<string> Losses()
    {
        if (Model.Modules().Any(named => named.Module is ExpertsFeedForward))
        {
            yield return "balance";
            yield return "sequence-balance";
        }

        if (_recipe.Model is DecoderOptions { MtpDepth: > 0 }) yield return "mtp";
    }

    /// <summary>The start's model, or one whose options differ only in what matters in training, with parameters like the start's.</summary>
    private SequenceModel WithStart(ModelFolder start)
    {
        if (RecipeJson.FirstDifference(RecipeJson.Tree(start.Config.Model), RecipeJson.Tree(_recipe.Model)) is null) return start.Model;
        var model = _recipe.Model.Build(start.Config.Vocabulary, _recipe.Seed);
        var theirs = start.Model.Parameters().ToDictionary(own => own.Name, own => own.Parameter);
        foreach (var (name, parameter) in model.Parameters())
        {
            if (!theirs.Remove(name, out var own) || own.Shape != parameter.Shape)
                throw new RecipeException("model", $"has the parameter {name} {parameter.Shape}, which the start, '{_recipe.Start}', {(own is null ? "lacks" : $"has as {own.Shape}")}; leave the model out to take the start's");
            parameter.ReadFrom(() => own.Value, own.Type);
        }

        return theirs.Count == 0 ? model : throw new RecipeException("model", $"lacks the parameter {theirs.Keys.First()} of the start, '{_recipe.Start}'; leave the model out to take the start's");
    }

    private IReadOnlyList<ParameterRule> Rules(Phase phase) => phase.Rules ?? _recipe.Optimizer.Rules;

    private static bool Learns(string name, IReadOnlyList<ParameterRule> rules) => rules.FirstOrDefault(rule => rule.Fits(name)) is not { Frozen: true };

    private static void RequirePositions(string path, int found, int max)
    {
        if (found > max) throw new RecipeException(path, $"is {found}; allowed: at most {max}, the positions that the model's encoding has");
    }
}
