using System.Runtime.CompilerServices;
using System.Text.Json.Serialization;
using Tessera.Models;
using Tessera.Nn;
using Tessera.Nn.Heads;

namespace Tessera.Training.Objectives;

/// <summary>What a phase learns from its examples; the key <c>kind</c> says which in a recipe. Where a phase names none, a decoder learns
/// <c>next-token</c>, an encoder-decoder <c>pairs</c>, an encoder <c>masked-tokens</c>, and what has another head than one of tokens
/// <c>labels</c>.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(NextTokenOptions), "next-token")]
[JsonDerivedType(typeof(PairsOptions), "pairs")]
[JsonDerivedType(typeof(FillInTheMiddleOptions), "fill-in-the-middle")]
[JsonDerivedType(typeof(SpanCorruptionOptions), "span-corruption")]
[JsonDerivedType(typeof(MaskedTokensOptions), "masked-tokens")]
[JsonDerivedType(typeof(LabelsOptions), "labels")]
public abstract record ObjectiveOptions
{
    /// <summary>The tokens that mark places in a text, by the keys that name them. A tokenizer that the run trains gets them; another must
    /// have them.</summary>
    public virtual IReadOnlyList<Sentinel> Sentinels() => [];

    /// <summary>The shortest length that batches may have (<c>length</c>).</summary>
    public virtual int MinLength() => 2;

    /// <summary>The shortest length that sources may be cut to (<c>sourceLength</c>), for models that read one.</summary>
    public virtual int MinSourceLength() => 1;

    /// <summary>The objective of a phase that names none.</summary>
    public static ObjectiveOptions For(SequenceModel model) =>
        model.ReadsSource ? new PairsOptions()
        : model.Generates ? new NextTokenOptions()
        : model.Head is TokensHead ? new MaskedTokensOptions()
        : new LabelsOptions();

    /// <summary>The tokens that mark places for a phase that names no objective, by the options of its model.</summary>
    internal static IReadOnlyList<Sentinel> UsualSentinels(ModelOptions? model) =>
        model is EncoderModelOptions { Head: TokensHeadOptions } ? new MaskedTokensOptions().Sentinels() : [];

    /// <summary>The objective by which a loaded model is measured where nobody names one.</summary>
    /// <exception cref="InvalidDataException">The model has no tokenizer.</exception>
    public static Objective Of(ModelFolder model) =>
        For(model.Model).Build(new ObjectiveContext(model.Model, model.Tokenizer, model.PromptFormat));

    /// <summary>Whether a model can learn this, whatever the options are.</summary>
    public abstract bool Fits(SequenceModel model);

    /// <summary>Makes the objective.</summary>
    /// <param name="context">A model that <see cref="Fits"/>, and a tokenizer that has the tokens which the options name.</param>
    public abstract Objective Build(ObjectiveContext context);

    /// <summary>Throws where a model cannot learn this.</summary>
    /// <param name="model">The model.</param>
    /// <param name="path">The place of these options in the recipe.</param>
    /// <exception cref="RecipeException">It is so.</exception>
    internal void RequireFits(SequenceModel model, string path)
    {
        if (Fits(model)) return;
        var allowed = Parts.Kinds(typeof(ObjectiveOptions))
            .Where(kind => ((ObjectiveOptions)RuntimeHelpers.GetUninitializedObject(kind.Part)).Fits(model));
        throw new RecipeException(
            $"{path}.kind", $"is {Parts.KindOf(GetType())}; allowed for {Described(model)}: "
            + $"{string.Join(", ", allowed.Select(kind => kind.Name).DefaultIfEmpty("none"))}");

        static string Described(SequenceModel model) => !model.Generates ? $"a model like this ({model.WhatItIs})"
            : $"a model that {(model.ReadsSource ? "reads a source" : "goes on with a text")}";
    }

    /// <summary>Throws where an option is out of its range.</summary>
    /// <param name="path">The place of these options in the recipe.</param>
    /// <exception cref="RecipeException">It is so.</exception>
    public virtual void Validate(string path)
    {
    }

    private protected static void Require(bool condition, string path, object? found, string allowed)
    {
        if (!condition) throw new RecipeException(path, $"is {found ?? "missing"}; allowed: {allowed}");
    }
}

/// <summary>A token that marks a place in a text.</summary>
/// <param name="Key">The key of the option that names it.</param>
/// <param name="Text">How the tokenizer writes it.</param>
public readonly record struct Sentinel(string Key, string Text);
