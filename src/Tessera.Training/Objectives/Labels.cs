using Tessera.Models;
using Tessera.Nn.Heads;
using Tessera.Text.Corpora;
using Tessera.Training.Data;

namespace Tessera.Training.Objectives;

/// <summary>Options of <see cref="Labels"/>; <c>"kind": "labels"</c> in a recipe.</summary>
public sealed record LabelsOptions : ObjectiveOptions
{
    /// <inheritdoc/>
    public override int MinLength() => 3;

    /// <inheritdoc/>
    public override bool Fits(SequenceModel model) => !model.ReadsSource && model.Head is ClassesHead or TagsHead or ValueHead;

    /// <inheritdoc/>
    public override Objective Build(ObjectiveContext context) => new Labels(context);
}

/// <summary>
/// From a source what its target says of it: with a head of classes the name of its label; with one of tags a label for each word, with
/// blanks between them; with one of values a number, or one for each word. A word is what stands between blanks, and its first token stands
/// for it. Sources are cut to <c>length</c>.
/// <para>Devlin et al. 2018 (BERT), <see href="https://arxiv.org/abs/1810.04805"/>, sections 4.1 and 5.3.</para>
/// </summary>
public sealed class Labels : Objective
{
    internal Labels(ObjectiveContext context) : base(context)
    {
    }

    /// <inheritdoc/>
    public override Dataset Prepare(IReadOnlyList<Example> examples, BatchOptions batches)
    {
        if (examples.Any(example => example.Source is null))
        {
            throw new InvalidDataException(
                "data: labels are of a source, but the corpus has texts without one; use a corpus of pairs, whose targets are labels");
        }

        return new LabelledTexts(examples, Context, batches);
    }

    /// <summary>The options of a model whose head names no labels with those that targets have, in alphabetical order; others stay
    /// as they are.</summary>
    /// <param name="options">Of the model.</param>
    /// <param name="targets">Of all examples to learn from.</param>
    /// <exception cref="InvalidDataException">There are fewer than two labels.</exception>
    internal static ModelOptions Collected(ModelOptions options, IEnumerable<string> targets)
    {
        if (options.Head is not LabelHeadOptions { Labels: null } head) return options;
        var found = targets.SelectMany(target => head is TagsHeadOptions ? Words(target) : [target.Trim()])
            .Distinct().Order(StringComparer.Ordinal).ToList();
        if (found.Count < 2)
            throw new InvalidDataException($"data: the targets have {found.Count} labels; there must be at least 2 to tell apart");
        return options with { Head = head with { Labels = found } };
    }

    /// <summary>What stands between blanks.</summary>
    internal static string[] Words(string text) => text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
}
