using Tessera.Text.Corpora;

namespace Tessera.Evaluation.Tasks;

/// <summary>The examples of an evaluation.</summary>
/// <param name="Split"><c>test</c>, or <c>validation</c> where the corpus has no test.</param>
/// <param name="Examples">Spread evenly over the split, in its order.</param>
internal sealed record HeldOutExamples(string Split, IReadOnlyList<Example> Examples)
{
    /// <summary>Chooses examples.</summary>
    /// <param name="corpus">Its test split, or its validation split.</param>
    /// <param name="most">How many at most.</param>
    /// <exception cref="InvalidDataException">There are none.</exception>
    public static HeldOutExamples Of(Corpus corpus, int most)
    {
        var (split, all) = corpus.Test.Count > 0 ? ("test", corpus.Test) : ("validation", corpus.Validation);
        if (all.Count == 0)
            throw new InvalidDataException(
                "data: the corpus has neither test nor validation examples; set data.testFraction, "
                + "or give it more than two groups of examples");
        var count = Math.Min(most, all.Count);
        return new HeldOutExamples(split, [.. Enumerable.Range(0, count).Select(i => all[(int)((long)i * all.Count / count)])]);
    }
}
