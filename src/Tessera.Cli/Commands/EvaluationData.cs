using System.CommandLine;
using Tessera.Models.Recipes;
using Tessera.Text.Corpora;
using Tessera.Training;

namespace Tessera.Cli.Commands;

/// <summary>The options that say which corpus a model is evaluated on.</summary>
internal sealed class EvaluationData
{
    private readonly Option<string?> _recipe = new("--recipe")
    {
        Description = "A recipe whose data, objective and metrics count instead of the run's; for models that are no runs.",
    };
    private readonly Option<string?> _corpus = new("--corpus")
    {
        Description = """A corpus as recipes name it under "data", instead of the run's: '{"kind":"jsonl","test":"pairs.jsonl",…}'.""",
    };
    private readonly Option<string?> _data = new("--data")
    {
        Description = "The folder that the data's paths start from; as in training, the recipe's or this one unless given.",
    };

    /// <summary>All of them.</summary>
    public IReadOnlyList<Option> All => [_recipe, _corpus, _data];

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in All) command.Options.Add(option);
    }

    /// <summary>Reads the corpus, and the recipe that says what is learned from it; null where none does.</summary>
    /// <exception cref="ArgumentException">The model is no run and nothing names data, or options contradict each other.</exception>
    public (Corpus Corpus, Recipe? Recipe) Read(ParseResult parsed, RunEvaluation evaluation, CancellationToken cancellation)
    {
        var (recipeFile, corpus, folder) = (parsed.GetValue(_recipe), parsed.GetValue(_corpus), parsed.GetValue(_data));
        if (recipeFile is not null && corpus is not null) throw new ArgumentException("--recipe and --corpus exclude each other");
        if (recipeFile is not null)
        {
            var recipe = Recipe.Load(recipeFile, note: CommonOptions.Note);
            return (recipe.Data.Load(folder ?? Path.GetDirectoryName(Path.GetFullPath(recipeFile))!, cancellation), recipe);
        }

        if (corpus is not null)
        {
            var options = RecipeJson.Read<CorpusOptions>(RecipeJson.Parse(corpus, "--corpus"));
            return (options.Load(folder ?? ".", cancellation), evaluation.Recipe);
        }

        if (evaluation is { Recipe: { } own, Run: { } run })
            return (own.Data.Load(folder ?? File.ReadAllText(run.Origin).Trim(), cancellation), own);
        throw new ArgumentException(
            $"'{evaluation.Path}' is no run, so it has no held-out examples; name texts with --text, or data with --recipe or --corpus");
    }
}
