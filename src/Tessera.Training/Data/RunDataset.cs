using Tessera.Nn;
using Tessera.Text.Corpora;
using Tessera.Training.Objectives;
using Tessera.Training.Phases;

namespace Tessera.Training.Data;

/// <summary>The examples that one or several phases of a run learn from, encoded.</summary>
/// <param name="Index">Which of the run's datasets, in the order in which phases first use them.</param>
/// <param name="Objective">What is learned from them.</param>
/// <param name="Train">What is learned from.</param>
/// <param name="Validation">What losses are measured on, at the length that the phase ends with; null where the corpus has nothing for
/// it.</param>
internal sealed record RunDataset(int Index, Objective Objective, Dataset Train, Dataset? Validation)
{
    /// <summary>Whether a decoder learns from pairs, so that it is to be prompted with sources.</summary>
    public bool HasPairs { get; private init; }

    /// <summary>Whether the examples are conversations.</summary>
    public bool HasConversations { get; private init; }

    /// <summary>Encodes the examples of a phase.</summary>
    /// <param name="index">Which of the run's datasets.</param>
    /// <param name="corpus">The examples.</param>
    /// <param name="objective">What is learned from them.</param>
    /// <param name="batches">Sizes of batches; the lengths are the phase's.</param>
    /// <param name="plan">The phase.</param>
    /// <param name="validationExamples">How many examples losses are measured on at most; of packed texts that many rows.</param>
    /// <exception cref="RecipeException">A curriculum begins with lengths that no example has.</exception>
    /// <exception cref="InvalidDataException">The examples are not such as are needed.</exception>
    public static RunDataset Of(int index, Corpus corpus, Objective objective, BatchOptions batches, PhasePlan plan,
        int validationExamples)
    {
        var (length, source) = (plan.Length, plan.SourceLength);
        try
        {
            var train = objective.Prepare(corpus.Train, batches with { Length = length.Max, SourceLength = source.Max });
            train.Resize(length.Min, source.Min);
            var shortest = length.From < length.To ? "from" : "to";
            if (train.Count == 0)
                throw new RecipeException($"{plan.Path}.length.{shortest}", $"is {length.Min}; allowed: lengths that some example fits");
            train.Resize(length.Max, source.Max);
            var (pairs, chats) = (
                objective.ReadsPairs && corpus.Train.Any(example => example.Source is not null),
                corpus.Train.Any(example => example.Conversation is not null));
            // Packed rows hold as many of these as their length allows: which are measured must not depend on it.
            var held = pairs || chats ? [.. corpus.Validation.Take(validationExamples)] : corpus.Validation;
            var validation = held.Count == 0
                ? null
                : objective.Prepare(held, batches with { Length = length.To, SourceLength = source.To });
            return new RunDataset(index, objective, train, validation) { HasPairs = pairs, HasConversations = chats };
        }
        catch (InvalidDataException error) when (plan.Phase.Data is not null && error.Message.StartsWith("data:", StringComparison.Ordinal))
        {
            throw new InvalidDataException($"{plan.Path}.{error.Message}", error);
        }
    }
}
