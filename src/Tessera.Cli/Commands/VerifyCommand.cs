using System.CommandLine;
using System.Globalization;
using Tessera.Cli.Terminal;
using Tessera.Models.Verification;
using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Cli.Commands;

/// <summary><c>tessera verify FOLDER…</c>.</summary>
internal static class VerifyCommand
{
    private const int Differs = 1;
    private const double Tolerance = 5e-5;
    private const double GradientTolerance = 1e-4;

    /// <summary>Half a step of each type: of 8 and 11 significant bits, or of a block's largest weight in 127, 32 and 8 steps.</summary>
    private const string Rounding =
        "Weights that were stored as another type in between are rounded, by up to 0.05 % (f16), 0.4 % (bf16, q8_0), "
        + "1.6 % (q6_k) or 6 % (q4_k, q4_0) of the largest beside them, and logits move by a like share: give that as --tolerance.";

    public static Command Create()
    {
        var folders = new Argument<string[]>("folder")
        {
            Description = "Model folders with recorded outputs, config.json, weights and expected.safetensors; or GGUF files beside the last.",
            Arity = ArgumentArity.OneOrMore,
        };
        var tolerance = new Option<double>("--tolerance")
        {
            Description = "The greatest difference of logits, hidden states and losses.",
            DefaultValueFactory = _ => Tolerance,
        };
        var gradients = new Option<double>("--gradient-tolerance")
        {
            Description = "The greatest difference of gradients, relative to the largest number of the tensor.",
            DefaultValueFactory = _ => GradientTolerance,
        };
        var json = CommonOptions.Json();
        var command = new Command("verify", CommonOptions.WithExamples(
                "Compares models with outputs that another program recorded for them: logits, hidden states, loss, gradients, "
                + "greedy tokens, and decoding token by token with whole sequences. "
                + "Exit code 1 where one differs by more than the tolerance, or cannot be read. " + Rounding,
                "tessera verify checkpoints/*", "tessera verify models/Qwen3-0.6B --tolerance 1e-3 --json"))
        {
            folders,
            tolerance,
            gradients,
            json,
        };
        command.SetAction(
            (parsed, cancellation) =>
            {
                var (max, maxOfGradients) = (
                    Positive(parsed.GetValue(tolerance), "--tolerance"), Positive(parsed.GetValue(gradients), "--gradient-tolerance"));
                return Task.FromResult(
                    Run(parsed.GetRequiredValue(folders), max, maxOfGradients, new Screen(parsed.GetValue(json)), cancellation));
            });
        return command;
    }

    private static double Positive(double value, string option) =>
        value > 0 ? value : throw new ArgumentException($"{option} is {value}; allowed: greater than 0");

    private static int Run(string[] folders, double tolerance, double gradientTolerance, Screen screen, CancellationToken cancellation)
    {
        var (rows, notes, failed) = (new List<IReadOnlyList<string>>(), new List<string>(), 0);
        foreach (var folder in folders)
        {
            cancellation.ThrowIfCancellationRequested();
            if (Verify(folder, screen) is not { } found)
            {
                failed++;
                continue;
            }

            var passes = found.Passes(tolerance, gradientTolerance);
            if (!passes) failed++;
            if (!passes && Expected(found) is { } expected) notes.Add(expected);
            rows.Add(Row(found, passes));
            screen.Json(new { @case = Name(folder), passes, result = found });
        }

        if (rows.Count > 0)
            screen.Table(
                ["case", "family", "logits", "long", "padded", "hidden", "loss", "gradients", "later", "cached", "greedy", "verdict"], rows,
                textColumns: 2);
        foreach (var note in notes) screen.Line(note);
        screen.Json(
            new
            {
                cases = folders.Length,
                failed,
                tolerance,
                gradientTolerance,
            });
        screen.Line(failed == 0 ? $"{folders.Length} verified" : $"{failed} of {folders.Length} failed");
        return failed == 0 ? CommandRunner.Success : Differs;
    }

    /// <summary>What of a difference the rounding of weights explains, as in a model that has been through a file of another
    /// type.</summary>
    private static string? Expected(VerificationResult found) => found is { Logits: { } difference, LargestLogit: { } largest and > 0 }
        ? string.Create(
            CultureInfo.InvariantCulture,
            $"{Name(found.Folder)}: its logits differ by up to {difference:0.0e+0}, {100 * difference / largest:G2} % "
            + $"of the largest recorded, {largest:G3}. {Rounding}")
        : null;

    /// <summary>Compares one folder; a folder that fails, for whatever reason, is one line, and the others are still verified.</summary>
    private static VerificationResult? Verify(string folder, Screen screen)
    {
        try
        {
            return ModelVerification.Run(folder);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            var isTheirs =
                error
                is InvalidDataException
                    or IOException
                    or UnauthorizedAccessException
                    or RecipeException
                    or OutOfMemoryException
                    or (ArgumentException and not ShapeException);
            var message = (isTheirs ? error.Message : $"this is a defect, please report it: {error}").ReplaceLineEndings(" ");
            Console.Error.WriteLine($"tessera: {(message.Contains(folder, StringComparison.Ordinal) ? message : $"{folder}: {message}")}");
            screen.Json(new { @case = Name(folder), passes = false, error = message });
            return null;
        }
    }

    private static IReadOnlyList<string> Row(VerificationResult found, bool passes) =>
        [
            Name(found.Folder),
            found.Family,
            Shown(found.Logits),
            Shown(found.LongLogits),
            Shown(found.PaddedLogits),
            Shown(found.Hidden),
            Shown(found.Loss),
        Shown(found.Gradients), Shown(Greater(found.MtpLogits, found.LaterLosses)), Shown(found.Cached),
        found.GreedyTokens is { } tokens ? $"{found.GreedyEqual}/{tokens}" : "", passes ? "equal" : "differs",
        ];

    private static double? Greater(double? one, double? other) =>
        one is null ? other
        : other is null ? one
        : Math.Max(one.Value, other.Value);

    private static string Shown(double? difference) => difference?.ToString("0.0e+0", CultureInfo.InvariantCulture) ?? "";

    private static string Name(string folder) => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
}
