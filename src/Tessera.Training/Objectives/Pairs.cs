using Tessera.Models;
using Tessera.Text.Corpora;
using Tessera.Training.Data;

namespace Tessera.Training.Objectives;

/// <summary>Options of <see cref="Pairs"/>; <c>"kind": "pairs"</c> in a recipe.</summary>
public sealed record PairsOptions : ObjectiveOptions
{
    /// <inheritdoc/>
    public override bool Fits(SequenceModel model) => model.Generates;

    /// <inheritdoc/>
    public override Objective Build(ObjectiveContext context) => new Pairs(context);
}

/// <summary>
/// From a source its target is predicted. An encoder reads the source, cut to <c>sourceLength</c>, and targets longer than <c>length</c>
/// are left out; a decoder reads source, line break and target as one packed text, of which the target alone is predicted, and which is
/// left out where all of it is longer than <c>length</c>.
/// <para>Sutskever, Vinyals, Le 2014, <see href="https://arxiv.org/abs/1409.3215"/>, section 2.</para>
/// </summary>
internal sealed class Pairs : Objective
{
    internal Pairs(ObjectiveContext context) : base(context)
    {
    }

    /// <inheritdoc/>
    public override bool ReadsPairs => !Model.ReadsSource;

    /// <inheritdoc/>
    public override Dataset Prepare(IReadOnlyList<Example> examples, BatchOptions batches)
    {
        var (model, tokenizer, format) = Context;
        if (examples.Any(example => example.Source is null))
        {
            throw new InvalidDataException(
                "data: pairs need a source, but the corpus has texts without one; use a corpus of pairs, or "
                + (model.ReadsSource ? "\"model\": { \"kind\": \"decoder\" }" : "\"objective\": { \"kind\": \"next-token\" }"));
        }

        return model.ReadsSource
            ? new PairDataset(examples, tokenizer, format, batches)
            : new PackedTexts(examples, example => format.EncodePair(tokenizer, example.Source!, example.Target), batches);
    }
}
