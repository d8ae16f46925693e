using System.CommandLine;
using Tessera.Cli.Terminal;
using Tessera.Models;
using Tessera.Nn.Lora;
using Tessera.Tensors;

namespace Tessera.Cli.Commands;

/// <summary><c>tessera merge ADAPTER</c>.</summary>
internal static class MergeCommand
{
    public static Command Create()
    {
        var adapter = new Argument<string>("adapter")
        {
            Description =
                "A folder with low-rank adapters: adapter_config.json, which names the base model, and adapter_model.safetensors.",
        };
        var output = new Option<string>("--out")
        {
            Description = "The folder of the merged model, or a file whose name ends in .gguf.", Required = true,
        };
        var type = new Option<string?>("--type")
        {
            Description = $"The type of matrices: {ConvertCommand.Types}; f32 unless said. Quantized ones are for .gguf files.",
        };
        var (force, json) = (CommonOptions.Force(), CommonOptions.Json());
        var command = new Command("merge", CommonOptions.WithExamples(
                "Adds low-rank adapters, trained here or by PEFT, to the weights of the model they were trained on, "
                + "and writes that as a model of its own.",
                "tessera merge runs/tuned --out models/tuned",
                "tessera merge runs/tuned --out tuned.gguf --type q8_0"))
        {
            adapter,
            output,
            type,
            force,
            json,
        };
        command.SetAction((parsed, cancellation) =>
        {
            var (folder, merged) = (parsed.GetRequiredValue(adapter), parsed.GetRequiredValue(output));
            var wanted = parsed.GetValue(type) is { } name ? ConvertCommand.TypeOf(name) : ElementType.F32;
            RequireFree(merged);
            var model = ModelFolder.Load(folder);
            var adapters = model.Adapters
                ?? throw new InvalidDataException($"'{folder}' holds no adapter: there is no adapter_config.json");
            CommonOptions.ReadWeights(model.Model, parsed.GetValue(force), cancellation);
            var maps = adapters.All.Count;
            Merge(folder, adapters);
            var result = model.Save(merged, wanted);
            var screen = new Screen(parsed.GetValue(json));
            foreach (var note in result.Notes) screen.Line($"note: {note}");
            screen.Line($"{maps} adapters added to {model.Origin}; the model is in {merged}");
            screen.Json(new { adapter = folder, model = model.Origin, maps, merged, result.Format, result.Notes });
            return Task.FromResult(CommandRunner.Success);
        });
        return command;
    }

    /// <summary>Adds the adapters to their weights; what cannot be merged is a fault of the folder's.</summary>
    private static void Merge(string folder, LoraAdapters adapters)
    {
        try
        {
            adapters.Merge();
        }
        catch (InvalidOperationException error)
        {
            throw new InvalidDataException($"'{folder}' cannot be merged: {error.Message}", error);
        }
    }

    private static void RequireFree(string merged)
    {
        if (File.Exists(merged)) throw new IOException($"'{merged}' is there already; name another file");
        if (Directory.Exists(merged) && Directory.EnumerateFileSystemEntries(merged).Any())
            throw new IOException($"'{merged}' is not empty; name another folder");
    }
}
