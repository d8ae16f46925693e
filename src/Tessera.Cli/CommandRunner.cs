using System.CommandLine;
using System.Globalization;
using Tessera.Cli.Commands;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Tensors;
using Tessera.Text.Templates;

namespace Tessera.Cli;

/// <summary>Runs a command and turns what goes wrong into one line and an exit code.</summary>
internal static class CommandRunner
{
    /// <summary>All went well.</summary>
    public const int Success = 0;

    /// <summary>Something unforeseen: a defect of the program.</summary>
    public const int Defect = 1;

    /// <summary>The input is not as it should be: arguments, recipe, corpus, checkpoint, disk.</summary>
    public const int BadInput = 2;

    /// <summary>Stopped by Ctrl-C or a signal.</summary>
    public const int Interrupted = 130;

    /// <summary>Parses the arguments and runs what they ask for.</summary>
    public static async Task<int> RunAsync(RootCommand root, string[] arguments)
    {
        CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        var parsed = root.Parse(arguments);
        if (parsed.Errors.Count > 0)
        {
            var problems = string.Join("; ", parsed.Errors.Select(error => OneLine(error.Message).TrimEnd('.')));
            return Complain($"{problems}; see '{string.Join(' ', CommandPath(parsed).Append("tessera").Reverse())} --help'");
        }

        try
        {
            if (SettingsProblem() is { } problem) return Complain(problem);
            foreach (var file in parsed.GetValue(CommonOptions.Parts) ?? []) PartAssembly.Load(file, ".", "--parts");
            using var signals = new StopSignals(saves: parsed.CommandResult.Command.Name is "train" or "quickstart");
            var configuration = new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null };
            return await parsed.InvokeAsync(configuration, signals.Token);
        }
        catch (Exception error)
        {
            return Explain(error);
        }
    }

    /// <summary>What is wrong with TESSERA_KERNELS or TESSERA_THREADS, found before any work is done; null if nothing.</summary>
    private static string? SettingsProblem()
    {
        try
        {
            return Processor.Level.Length > 0 && Processor.Threads > 0 ? null : "no kernels for this processor";
        }
        catch (TypeInitializationException error)
        {
            return (error.InnerException ?? error).Message;
        }
    }

    private static int Complain(string problem)
    {
        Console.Error.WriteLine($"tessera: {problem}");
        return BadInput;
    }

    private static int Explain(Exception error)
    {
        if (error is AggregateException { InnerExceptions: [var only] }) error = only;
        switch (error)
        {
            case ShapeException:
                goto default; // shapes are the program's affair, though the exception is one of arguments
            case OperationCanceledException:
                Console.Error.WriteLine("tessera: stopped");
                return Interrupted;
            case RecipeException or InvalidDataException or TemplateException or ArgumentException:
            case IOException or UnauthorizedAccessException:
                return Complain(OneLine(error.Message));
            case OutOfMemoryException:
                return Complain("there is not enough memory for this; ask for fewer tokens, a narrower beam, or a smaller model or batch");
            default:
                Console.Error.WriteLine($"tessera: this is a defect, please report it: {error}");
                return Defect;
        }
    }

    /// <summary>A message on one line; .NET adds the parameter's name to those of arguments.</summary>
    private static string OneLine(string message)
    {
        var end = message.IndexOf(" (Parameter '", StringComparison.Ordinal);
        return (end < 0 ? message : message[..end]).ReplaceLineEndings(" ");
    }

    private static IEnumerable<string> CommandPath(ParseResult parsed)
    {
        for (var result = parsed.CommandResult; result.Parent is System.CommandLine.Parsing.CommandResult parent; result = parent)
            yield return result.Command.Name;
    }
}
