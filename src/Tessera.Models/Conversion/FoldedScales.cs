using System.Globalization;
using Tessera.Models.Formats;
using Tessera.Nn;

namespace Tessera.Models.Conversion;

/// <summary>
/// How a model is said as one of a family. Scales of embeddings and of logits, which most families have no key for, are multiplied into
/// the tables; a tied table that would need two of them becomes two.
/// </summary>
/// <param name="Family">The family.</param>
/// <param name="Options">The model as the family says it.</param>
/// <param name="Names">Which of the model's own parameters is which tensor.</param>
/// <param name="Notes">What was folded, for people to know.</param>
internal sealed record FoldedScales(Family Family, ModelOptions Options, TensorNames Names, IReadOnlyList<string> Notes)
{
    private const string Table = "embed_tokens.weight", Head = "lm_head.weight";

    /// <summary>Finds a family for a model: the simplest that can say it, as it is or without the scales; the one that it came from where
    /// that can.</summary>
    /// <param name="model">The model.</param>
    /// <param name="ggufArchitecture">As of <c>Family.For</c>.</param>
    /// <exception cref="RecipeException">None can; the message names what the nearest cannot say.</exception>
    public static FoldedScales Of(ModelOptions model, string? ggufArchitecture = null)
    {
        if (model is not DecoderOptions decoder || !HasScales(decoder)) return AsItIs(Family.For(model, ggufArchitecture));
        var (scale, logitScale) = (ScaleOf(decoder), decoder.LogitScale);
        var stays = decoder.TieEmbeddings && scale == logitScale;
        var plain = decoder with { EmbeddingScale = 1, LogitScale = 1, TieEmbeddings = stays };
        var (whole, simplest) = (Family.Simplest(model), Family.Simplest(plain));
        if (whole is not null && (simplest is null || whole.GgufArchitecture == ggufArchitecture || !IsSimpler(simplest, whole)))
            return AsItIs(whole);
        var plainFamily = Family.For(plain, ggufArchitecture);

        var names = plainFamily.Names(plain);
        List<(string Name, float Factor)> table = [(names.Layouts[Table].Theirs[0], scale)];
        if (!stays && decoder.TieEmbeddings) table.Add((names.Layouts[Head].Theirs[0], logitScale));
        var layouts = new List<TensorLayout> { new ScaledLayout(Table, [.. table]) };
        if (!decoder.TieEmbeddings) layouts.Add(new ScaledLayout(Head, (names.Layouts[Head].Theirs[0], logitScale)));
        return new FoldedScales(
            plainFamily, plain, names.With(layouts, without: decoder.TieEmbeddings ? Head : null),
            [Note(scale, logitScale, becomesTwo: decoder.TieEmbeddings && !stays)]);

        FoldedScales AsItIs(Family family) => new(family, model, family.Names(model), []);
    }

    private static bool IsSimpler(Family one, Family other) => Family.All.TakeWhile(family => family != other).Contains(one);

    private static float ScaleOf(DecoderOptions decoder) => decoder.EmbeddingScale ?? MathF.Sqrt(decoder.Width);

    private static bool HasScales(DecoderOptions decoder) => ScaleOf(decoder) != 1 || decoder.LogitScale != 1;

    private static string Note(float scale, float logitScale, bool becomesTwo)
    {
        var (embeddings, logits) = (Text("embeddings", scale), Text("logits", logitScale));
        var folded = embeddings is not null && logits is not null ? $"{embeddings}, and {logits}, are" : $"{embeddings ?? logits}, is";
        return $"{folded} multiplied into the tables" + (becomesTwo ? ", of which the tied one becomes two" : "");

        static string? Text(string of, float factor) =>
            factor == 1 ? null : string.Create(CultureInfo.InvariantCulture, $"the scale of {of}, {factor}");
    }
}
