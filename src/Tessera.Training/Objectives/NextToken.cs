using Tessera.Models;
using Tessera.Text.Corpora;
using Tessera.Training.Data;

namespace Tessera.Training.Objectives;

/// <summary>Options of <see cref="NextToken"/>; <c>"kind": "next-token"</c> in a recipe.</summary>
/// <param name="PredictSource">Whether the source of a pair is to be predicted too, rather than only read.</param>
public sealed record NextTokenOptions(bool PredictSource = false) : ObjectiveOptions
{
    /// <inheritdoc/>
    public override bool Fits(SequenceModel model) => model.Generates && !model.ReadsSource;

    /// <inheritdoc/>
    public override Objective Build(ObjectiveContext context) => new NextToken(this, context);
}

/// <summary>
/// Each place of a text predicts the token after it. Texts are packed: laid end to end in rows of <c>length</c>, where a token sees its own
/// text alone. A pair becomes one text, its source, a line break and its target; a conversation what the chat template makes of it, of
/// which what the assistant says is predicted. Neither is cut.
/// <para>Radford et al. 2018, "Improving language understanding by generative pre-training", section 3.1.</para>
/// </summary>
internal sealed class NextToken : Objective
{
    private readonly NextTokenOptions _options;

    internal NextToken(NextTokenOptions options, ObjectiveContext context) : base(context) => _options = options;

    /// <inheritdoc/>
    public override bool ReadsPairs => true;

    /// <inheritdoc/>
    public override Dataset Prepare(IReadOnlyList<Example> examples, BatchOptions batches) => new PackedTexts(examples, Encode, batches);

    private EncodedText Encode(Example example)
    {
        var (_, tokenizer, format) = Context;
        if (example.Conversation is { } conversation) return format.EncodeConversation(tokenizer, conversation);
        if (example.Source is null) return format.EncodeText(tokenizer, example.Target);
        var pair = format.EncodePair(tokenizer, example.Source, example.Target);
        return _options.PredictSource ? pair with { TargetStart = format.Opening(tokenizer).Length } : pair;
    }
}
