using System.CommandLine;
using Tessera.Generation;
using Tessera.Models;

namespace Tessera.Cli.Commands;

/// <summary>Options that several commands share.</summary>
internal static class CommonOptions
{
    public static Option<bool> Json() => new("--json") { Description = "Print JSON lines instead of text." };

    public static Option<string?> Checkpoint() => new("--checkpoint")
    {
        Description = "Of a run: a checkpoint instead of the finished model, by its step, or best (lowest validation loss), or last.",
    };

    /// <summary>Of every command: assemblies with parts of their own.</summary>
    public static Option<string[]> Parts { get; } = new("--parts")
    {
        Description = "An assembly whose own parts recipes and models may name: --parts bin/OwnMixer.dll. Its code runs. May be repeated.",
        AllowMultipleArgumentsPerToken = false,
        Recursive = true,
        DefaultValueFactory = _ => [],
    };

    public static Option<string[]> Set() => new("--set")
        {
            Description =
                "Change a value of the recipe, or swap a part by its kind: --set model.decoder.attention.kind=latent. May be repeated.",
            AllowMultipleArgumentsPerToken = false,
            DefaultValueFactory = _ => [],
        };

    /// <summary>Of commands that make or read a model.</summary>
    public static Option<bool> Force() => new("--force") { Description = "Try also where the model needs more memory than there is left." };

    /// <summary>Throws where more memory is needed than there is left, unless it is to be tried all the same.</summary>
    /// <param name="bytes">How much is needed.</param>
    /// <param name="what">What for, in words.</param>
    /// <param name="force">Whether to try.</param>
    /// <exception cref="IOException">There is not so much.</exception>
    public static void RequireMemory(long bytes, string what, bool force)
    {
        if (!force && MachineMemory.WhyNot(bytes, what) is { } problem) throw new IOException($"{problem}; --force tries it all the same");
    }

    /// <summary>Reads a model's weights, or makes them, where the machine has memory for them; a signal stops it.</summary>
    /// <exception cref="IOException">There is not so much memory.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static void ReadWeights(SequenceModel model, bool force, CancellationToken cancellation)
    {
        RequireMemory(MachineMemory.BytesOf(model), "the model's weights", force);
        MachineMemory.Touch(model, cancellation);
    }

    /// <summary>Tells people something that is no error, where output for other programs is not disturbed.</summary>
    public static void Note(string text) => Console.Error.WriteLine($"tessera: note: {text}");

    /// <summary>A command's help with examples under it.</summary>
    public static string WithExamples(string description, params ReadOnlySpan<string> examples) =>
        $"{description}\n\nExamples:\n  {string.Join("\n  ", examples)}";
}
