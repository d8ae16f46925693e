using System.CommandLine;
using System.Globalization;
using Tessera.Cli.Terminal;
using Tessera.Models.Conversion;
using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Cli.Commands;

/// <summary><c>tessera convert SOURCE TARGET</c>.</summary>
internal static class ConvertCommand
{
    private static readonly ElementType[] s_types =
    [
        ElementType.F32, ElementType.BF16, ElementType.F16, ElementType.Q8_0, ElementType.Q6_K, ElementType.Q5_K, ElementType.Q5_1,
        ElementType.Q5_0, ElementType.Q4_K, ElementType.Q4_1, ElementType.Q4_0,
    ];

    public static Command Create()
    {
        var source = new Argument<string>("source") { Description = "A model: a folder of a run, a Hugging Face folder, or a .gguf file." };
        var target = new Argument<string>("target") { Description = "A file whose name ends in .gguf, or a folder for Hugging Face's files." };
        var type = new Option<string?>("--type") { Description = $"The type of matrices: {Types}; as they are stored unless said. Quantized ones are for .gguf files." };
        var shard = new Option<string>("--max-shard-size") { Description = "The most bytes of a safetensors file: 5GB, 200MB.", DefaultValueFactory = _ => "5GB" };
        var pre = new Option<string?>("--pre-tokenizer") { Description = "What llama.cpp calls the tokenizer's way to cut texts, where it cannot be told." };
        var force = new Option<bool>("--force") { Description = "Replace a target that is there already." };
        var progress = new Option<bool>("--progress") { Description = "Show progress of small models, too." };
        var json = CommonOptions.Json();
        var command = new Command("convert", CommonOptions.WithExamples(
            "Writes a decoder in another format or type, tensor by tensor, so that it may be larger than memory.",
            "tessera convert runs/notes notes.gguf --type q8_0",
            "tessera convert Qwen3-0.6B qwen3.gguf",
            "tessera convert llama.gguf llama-hf --type bf16 --max-shard-size 2GB")) { source, target, type, shard, pre, force, progress, json };
        command.SetAction((parsed, cancellation) =>
        {
            var screen = new Screen(parsed.GetValue(json));
            var options = new ConversionOptions
            {
                Type = parsed.GetValue(type) is { } name ? TypeOf(name) : null, MaxShardBytes = BytesOf(parsed.GetRequiredValue(shard)),
                PreTokenizer = parsed.GetValue(pre), Overwrite = parsed.GetValue(force),
            };
            var (from, to) = (parsed.GetRequiredValue(source), parsed.GetRequiredValue(target));
            var display = new ConversionDisplay(screen, parsed.GetValue(progress));
            var result = display.Run(to, report => Convert(from, to, options with { Progress = report }, cancellation));
            screen.Json(new { source = from, target = to, result.Format, result.Tensors, result.Bytes, result.Notes });
            foreach (var note in result.Notes) screen.Line($"note: {note}");
            screen.Line($"{to}: {result.Format}, {Amount.Of(result.Tensors)} tensors, {Amount.Bytes(result.Bytes)}");
            return Task.FromResult(CommandRunner.Success);
        });
        return command;
    }

    private static ConversionResult Convert(string source, string target, ConversionOptions options, CancellationToken cancellation)
    {
        try
        {
            return ModelConversion.Convert(source, target, options, cancellation);
        }
        catch (TargetExistsException error)
        {
            throw new IOException($"{error.Message}; use --force to replace it", error);
        }
        catch (ArgumentException error) when (error.InnerException is RecipeException { Path: "" })
        {
            throw new InvalidDataException($"{error.Message}; 'tessera inspect {source} --families' has what each says", error);
        }
    }

    /// <summary>The types that matrices can be written in.</summary>
    public static string Types => string.Join(", ", s_types.Select(type => type.ToString().ToLowerInvariant()));

    /// <summary>The type of a name.</summary>
    /// <exception cref="ArgumentException">There is none.</exception>
    public static ElementType TypeOf(string name) => s_types
            .Where(type => type.ToString().Equals(name, StringComparison.OrdinalIgnoreCase))
            .Select(type => (ElementType?)type).FirstOrDefault()
        ?? throw new ArgumentException($"--type is '{name}'; allowed: {Types}");

    /// <summary>The bytes of <c>5GB</c>: thousands, as Hugging Face counts them, or <c>GiB</c>.</summary>
    private static long BytesOf(string size)
    {
        (string Unit, double Bytes)[] units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("", 1)];
        var (unit, bytes) = units.First(each => size.EndsWith(each.Unit, StringComparison.OrdinalIgnoreCase));
        return double.TryParse(size[..^unit.Length], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number * bytes is >= 1 and <= 1e18
            ? (long)(number * bytes)
            : throw new ArgumentException($"--max-shard-size is '{size}'; allowed: a number above 0 with KB, MB or GB");
    }
}
