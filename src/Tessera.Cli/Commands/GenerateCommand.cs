using System.CommandLine;
using System.Text.Json;
using Tessera.Cli.Terminal;
using Tessera.CSharp.Validation;
using Tessera.Generation;
using Tessera.Models;
using Tessera.Training;

namespace Tessera.Cli.Commands;

/// <summary><c>tessera generate RUN "text"</c>.</summary>
internal static class GenerateCommand
{
    public static Command Create()
    {
        var run = new Argument<string>("run")
        {
            Description = "The folder of a run, of one of its checkpoints, or of a model, ours or Hugging Face's; or a GGUF file.",
        };
        var chat = new Option<bool>("--chat") { Description = "Write each prompt as a user's message in the model's chat template." };
        var adapter = new Option<string?>("--adapter")
        {
            Description = "A folder with low-rank adapters that act in the model, trained here or by PEFT on it, whatever its format.",
        };
        var noAdapter = new Option<bool>("--no-adapter")
        {
            Description = "Of a folder with adapters: generate as the model they were trained on does.",
        };
        var check = new Option<bool>("--check") { Description = "Say of each output whether it parses as C#." };
        var (prompts, decoding, checkpoint) = (new PromptArguments(), new DecodingArguments(), CommonOptions.Checkpoint());
        var (force, json) = (CommonOptions.Force(), CommonOptions.Json());
        var command = new Command("generate", CommonOptions.WithExamples(
            "Generates text with a trained model.",
            "tessera generate runs/quickstart \"Returns the larger of two numbers. [Math]\"",
            "tessera generate runs/quickstart --beam 5 --check --lines < prompts.txt",
            "tessera generate runs/notes --prompt-file story.txt --truncate start",
            "tessera generate models/Qwen3-0.6B --chat --max-tokens 200 \"Why is the sky blue?\"",
            "tessera generate qwen3.gguf --adapter runs/tuned \"Why is the sky blue?\"",
            "tessera generate runs/quickstart --checkpoint best \"Removes all items.\"",
            "tessera generate runs/quickstart --temperature 0.8 --top-p 0.95 --seed 7 \"Removes all items.\""))
        {
            run, checkpoint, chat, adapter, noAdapter, check, force, json,
        };
        prompts.AddTo(command);
        decoding.AddTo(command);
        command.SetAction(async (parsed, cancellation) =>
        {
            var (options, screen) = (decoding.Read(parsed), new Screen(parsed.GetValue(json)));
            var (texts, limit) = (prompts.Read(parsed), prompts.Limit(parsed));
            var path = parsed.GetRequiredValue(run);
            var loaded = RunModel.Load(path, parsed.GetValue(checkpoint), asStored: true);
            if (parsed.GetValue(adapter) is { } adapters) loaded = loaded.Adapt(adapters);
            var model = LanguageModel.Of(loaded, path);
            model.PromptLimit = limit;
            options = decoding.For(parsed, options, model.Folder);
            if (parsed.GetValue(noAdapter)) SwitchOff(model, path, parsed.GetValue(adapter));
            CommonOptions.ReadWeights(model.Folder.Model, parsed.GetValue(force), cancellation);
            NoteLength(model, texts, parsed.GetValue(chat));
            if (texts.Length == 1 && options is not BeamOptions && !screen.IsJson && !parsed.GetValue(check))
                await Stream(model, texts[0], options, parsed.GetValue(chat), cancellation);
            else Print(model, texts, options, parsed.GetValue(chat), parsed.GetValue(check), screen, cancellation);
            return CommandRunner.Success;
        });
        return command;
    }

    /// <summary>A model reads more than it has seen at once in training, but not as well.</summary>
    private static void NoteLength(LanguageModel model, string[] prompts, bool asChat)
    {
        var (longest, trained) = (prompts.Max(prompt => model.Encode(prompt, asChat).Length), model.Folder.Config.Length);
        if (!model.Folder.Model.ReadsSource && longest > trained)
            CommonOptions.Note($"the prompt has {longest} tokens; this model was trained on at most {trained} at once");
    }

    private static void SwitchOff(LanguageModel model, string run, string? adapter)
    {
        if (adapter is not null) throw new ArgumentException("--adapter and --no-adapter exclude each other");
        var adapters = model.Folder.Adapters ?? throw new ArgumentException($"'{run}' has no adapters that --no-adapter could switch off");
        adapters.IsActive = false;
    }

    private static async Task Stream(
        LanguageModel model, string prompt, DecodingOptions options, bool asChat, CancellationToken cancellation)
    {
        await foreach (var piece in model.StreamAsync(prompt, options, asChat, cancellation)) Console.Out.Write(piece);
        Console.Out.WriteLine();
    }

    private static void Print(
        LanguageModel model, string[] prompts, DecodingOptions options, bool asChat, bool check, Screen screen,
        CancellationToken cancellation)
    {
        var validator = new CSharpSyntaxValidator();
        var outputs = model.Generate(prompts, options, asChat, progress: null, cancellation);
        for (var i = 0; i < prompts.Length; i++)
        {
            var (text, tokens) = outputs[i];
            var error = check ? validator.FirstError(text) : null;
            var finishReason = JsonNamingPolicy.KebabCaseLower.ConvertName(tokens.FinishReason.ToString());
            var valid = check ? error is null : (bool?)null;
            var seed = (options as SamplingOptions)?.Seed;
            screen.Json(new { prompt = prompts[i], text, tokens = tokens.Ids.Count, tokens.Score, finishReason, seed, valid, error });
            if (screen.IsJson) continue;
            Console.Out.WriteLine(text);
            if (check) Console.Out.WriteLine(error is null ? "  valid C#" : $"  not valid C#: {error}");
        }
    }
}
