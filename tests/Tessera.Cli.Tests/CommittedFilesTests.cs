namespace Tessera.Cli.Tests;

/// <summary>Files that a command prints and that are committed, so that editors and readers have them.</summary>
public sealed class CommittedFilesTests
{
    [Theory]
    [InlineData("recipes/recipe.schema.json", "schema")]
    [InlineData("docs/parts.md", "parts")]
    public void What_a_command_prints_is_what_is_committed(string file, string command)
    {
        var printed = TesseraProcess.Run(AppContext.BaseDirectory, ["recipe", command]);
        Assert.Equal(0, printed.Code);
        Assert.Equal(File.ReadAllText(InCheckout(file)).ReplaceLineEndings("\n"), printed.Output.ReplaceLineEndings("\n"));
    }

    [Theory]
    [InlineData("| `rank` | `8` |")] // set in the record
    [InlineData("| `beta2` | `0.95` |")] // a constructor's
    [InlineData("| `epsilon` | `1e-8` |")]
    [InlineData("| `normPlacement` | `\"pre-norm\"` |")] // an enumeration
    [InlineData("| `schedule` | `{ \"kind\": \"cosine\", \"warmupSteps\": 100 }` |")] // a part that differs from its own defaults
    [InlineData("| `width` | *required* |")] // a required property
    [InlineData("| `pattern` | *required* |")] // a constructor's parameter
    [InlineData("after `interval` steps in a row")] // another option, by its key
    public void The_catalogue_says_what_a_key_is_where_a_recipe_does_not(string text) =>
        Assert.Contains(text, File.ReadAllText(InCheckout("docs/parts.md")), StringComparison.Ordinal);

    /// <summary>The path of a committed file.</summary>
    internal static string InCheckout(string file) => Path.Combine(Root(), file);

    private static string Root()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Tessera.slnx"))) return folder.FullName;
        throw new DirectoryNotFoundException("the tests do not run inside a checkout");
    }
}
