using System.Text.Json;

namespace Tessera.Cli.Tests;

/// <summary>
/// A run that version 0.1 trained (commit 12e1d8f; <c>written.json</c> is its recipe as it was written) and that goes on working: latent
/// attention, experts, windows, relative position bias, a multi-token prediction module, norms before and after parts, under the names that
/// they had then.
/// </summary>
public sealed class FormerRunTests
{
    private static string Run => Path.Combine(AppContext.BaseDirectory, "Fixtures", "run-0.1");

    /// <summary>Texts and log-likelihoods as 0.1 printed them, <c>generate run-0.1 … --json --max-tokens 12</c>.</summary>
    [Theory]
    [InlineData("red blue", " red red red red south.\nred", -1.7252309501378083)]
    [InlineData("one", " red then red red.\ngreen red then red green.", -0.35880598425240073)]
    public void It_writes_what_it_wrote(string prompt, string text, double score)
    {
        var outcome = TesseraProcess.Run(Run, ["generate", Run, prompt, "--json", "--max-tokens", "12"]);
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        var written = JsonDocument.Parse(outcome.Output).RootElement;
        Assert.Equal(text, written.GetProperty("text").GetString());
        Assert.Equal(score, written.GetProperty("score").GetDouble(), 1e-3);
    }

    [Theory]
    [InlineData("written.json")]
    [InlineData("recipe.json")] // as the run kept it, with every default
    public void Its_recipe_is_valid_and_makes_the_same_model(string recipe)
    {
        var check = TesseraProcess.Run(Run, ["recipe", "check", recipe]);
        Assert.Equal((0, $"{recipe}: valid\n"), (check.Code, check.Output));
        var shown = JsonDocument.Parse(TesseraProcess.Run(Run, ["recipe", "show", recipe, "--json"]).Output).RootElement;
        Assert.Equal((15112, 12808), (shown.GetProperty("parameters").GetInt32(), shown.GetProperty("activeParameters").GetInt32()));
    }
}
