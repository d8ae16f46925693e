using System.CommandLine;
using Tessera.Cli.Terminal;
using Tessera.Models;

namespace Tessera.Cli.Commands;

/// <summary><c>tessera inspect PATH</c>.</summary>
internal static class InspectCommand
{
    public static Command Create()
    {
        var path = new Argument<string>("path")
        {
            Description = "A folder of a run or of Hugging Face's, a .gguf file, or a .safetensors file.",
        };
        var tensors = new Option<bool>("--tensors") { Description = "List every tensor." };
        var families = new Option<bool>("--families")
        {
            Description = "Say of each family of published models whether this model could be one of it, or why not.",
        };
        var json = CommonOptions.Json();
        var command = new Command("inspect", CommonOptions.WithExamples(
            "Shows what a model or a file of tensors holds, from its header alone.",
            "tessera inspect runs/quickstart",
            "tessera inspect llama.gguf --tensors",
            "tessera inspect model.safetensors --json")) { path, tensors, families, json };
        command.SetAction(parsed =>
        {
            var (screen, listed) = (new Screen(parsed.GetValue(json)), parsed.GetValue(tensors));
            if (parsed.GetValue(families))
            {
                PrintFamilies(ModelFolder.Load(parsed.GetRequiredValue(path), asStored: true, check: false).Config.Model, screen);
                return CommandRunner.Success;
            }

            using var inspection = Inspection.Of(parsed.GetRequiredValue(path));
            if (screen.IsJson) PrintJson(inspection, screen, listed);
            else Print(inspection, screen, listed);
            return CommandRunner.Success;
        });
        return command;
    }

    private static void PrintFamilies(ModelOptions model, Screen screen)
    {
        foreach (var (family, reason, _) in Family.Fits(model))
        {
            screen.Line($"{family.Name}: {reason ?? "yes"}");
            screen.Json(new { family = family.Name, fits = reason is null, reason });
        }
    }

    private static void PrintJson(Inspection inspection, Screen screen, bool listed) => screen.Json(new
    {
        path = inspection.Path, format = inspection.Format, architecture = inspection.Architecture,
        config = inspection.Config.ToDictionary(fact => fact.Key, fact => fact.Value),
        parameters = inspection.Parameters, activeParameters = inspection.ActiveParameters,
        tokenizer = inspection.Tokenizer, chatTemplate = inspection.HasChatTemplate, metadata = inspection.Metadata,
        types = inspection.Types.Select(type =>
            new { type = type.Name, tensors = type.Tensors, elements = type.Elements, bytes = type.Bytes }),
        tensors = !listed ? null : inspection.Tensors.Select(tensor =>
            new { name = tensor.Name, type = tensor.Type, shape = tensor.Shape, bytes = tensor.ByteCount }),
    });

    private static void Print(Inspection inspection, Screen screen, bool listed)
    {
        List<(string Key, string Value)> facts = [("format", inspection.Format)];
        if (inspection.Architecture is { } architecture) facts.Add(("architecture", architecture));
        facts.AddRange(inspection.Config);
        if (inspection.Parameters is { } all)
        {
            var some = inspection.ActiveParameters is { } active && active != all ? $", {Amount.Of(active)} of them for each token" : "";
            facts.Add(("parameters", Amount.Of(all) + some));
        }

        if (inspection.Tokenizer is { } tokenizer)
        {
            var special = string.Concat(tokenizer.Special.Select(token => $"; {token.Role} {token.Id} {token.Token}"));
            facts.Add(("tokenizer", $"{tokenizer.Kind}, {Amount.Of(tokenizer.Tokens)} tokens, {tokenizer.Added} added{special}"));
        }

        if (inspection.HasChatTemplate is { } has) facts.Add(("chat template", has ? "yes" : "no"));
        foreach (var (key, value) in inspection.Metadata) facts.Add((key, value));
        var width = facts.Max(fact => fact.Key.Length);
        foreach (var (key, value) in facts) screen.Line($"{key.PadRight(width)}  {value}");
        screen.Table(
            ["type", "tensors", "elements", "bytes"],
            [
                .. inspection
                    .Types.Append(Total(inspection))
                    .Select(type => (string[])[type.Name, Amount.Of(type.Tensors), Amount.Of(type.Elements), Amount.Bytes(type.Bytes)]),
            ]
        );
        if (listed)
            screen.Table(["tensor", "type", "shape", "bytes"], inspection.Tensors.Select(tensor =>
                (string[])[tensor.Name, tensor.Type, $"[{string.Join(", ", tensor.Shape)}]", Amount.Of(tensor.ByteCount)]), textColumns: 3);
    }

    private static TypeTotal Total(Inspection inspection) => new(
            "all", inspection.Types.Sum(type => type.Tensors), inspection.Types.Sum(type => type.Elements),
            inspection.Types.Sum(type => type.Bytes));
}
