using System.CommandLine;
using Tessera.Cli.Terminal;
using Tessera.Models;

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
        var output = new Option<string>("--out") { Description = "The folder of the merged model.", Required = true };
        var json = CommonOptions.Json();
        var command = new Command("merge", CommonOptions.WithExamples(
                "Adds low-rank adapters, trained here or by PEFT, to the weights of the model they were trained on, "
                + "and writes that as a model of its own in F32.",
                "tessera merge runs/tuned --out models/tuned"))
        {
            adapter,
            output,
            json,
        };
        command.SetAction(parsed =>
        {
            var (folder, merged, screen) = (
                parsed.GetRequiredValue(adapter), parsed.GetRequiredValue(output), new Screen(parsed.GetValue(json)));
            if (Directory.Exists(merged) && Directory.EnumerateFileSystemEntries(merged).Any())
                throw new IOException($"'{merged}' is not empty; name another folder");
            var model = ModelFolder.Load(folder);
            var adapters = model.Adapters
                ?? throw new InvalidDataException($"'{folder}' holds no adapter: there is no adapter_config.json");
            var maps = adapters.All.Count;
            adapters.Merge();
            model.Save(merged);
            screen.Line($"{maps} adapters added to {model.Path}; the model is in {merged}");
            screen.Json(new { adapter = folder, model = model.Path, maps, merged });
            return CommandRunner.Success;
        });
        return command;
    }
}
