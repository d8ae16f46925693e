using Tessera.Models.Recipes;
using Tessera.Text.Corpora;
using Tessera.Training.Phases;

namespace Tessera.Training.Data;

/// <summary>The corpora of a run's phases, each read once.</summary>
internal sealed class RunCorpora
{
    private readonly Recipe _recipe;
    private readonly OrderedDictionary<string, Corpus> _read = [];

    /// <summary>Reads them.</summary>
    /// <param name="recipe">Its phases, and the corpus of those that name none.</param>
    /// <param name="folder">Where relative paths start.</param>
    /// <param name="cancellation">Stops the reading.</param>
    public RunCorpora(Recipe recipe, string folder, CancellationToken cancellation)
    {
        _recipe = recipe;
        foreach (var phase in recipe.Phases)
            if (!_read.ContainsKey(Key(phase))) _read.Add(Key(phase), Options(phase).Load(folder, cancellation));
    }

    /// <summary>All texts to learn from, corpus by corpus.</summary>
    public IEnumerable<string> Texts => _read.Values.SelectMany(corpus => corpus.Train).SelectMany(example => example.Texts);

    /// <summary>How much they left out, by reason.</summary>
    public IReadOnlyDictionary<string, int> LeftOut => _read.Values.SelectMany(corpus => corpus.Dropped)
        .GroupBy(dropped => dropped.Key).ToDictionary(reason => reason.Key, reason => reason.Sum(dropped => dropped.Value));

    /// <summary>Whether any example is a conversation.</summary>
    public bool HaveConversations => _read.Values.Any(corpus => corpus.Train.Any(example => example.Conversation is not null));

    /// <summary>The targets of all examples to learn from.</summary>
    public IEnumerable<string> Targets => _read.Values.SelectMany(corpus => corpus.Train).Select(example => example.Target);

    /// <summary>The corpus of a phase, and what tells it from others.</summary>
    public (Corpus Corpus, string Key) Of(Phase phase) => (_read[Key(phase)], Key(phase));

    private CorpusOptions Options(Phase phase) => phase.Data ?? _recipe.Data;

    private string Key(Phase phase) => RecipeJson.Write(Options(phase));
}
