using System.CommandLine;
using System.Text.Json;
using Tessera.Cli.Terminal;
using Tessera.CSharp.Validation;
using Tessera.Generation;
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
        var prompts = new Argument<string[]>("text")
        {
            Description = "Prompts; read from standard input, a line each, where there is none.", Arity = ArgumentArity.ZeroOrMore,
        };
        var chat = new Option<bool>("--chat") { Description = "Write each prompt as a user's message in the model's chat template." };
        var check = new Option<bool>("--check") { Description = "Say of each output whether it parses as C#." };
        var checkpoint = CommonOptions.Checkpoint();
        var (decoding, json) = (new DecodingArguments(), CommonOptions.Json());
        var command = new Command("generate", CommonOptions.WithExamples(
            "Generates text with a trained model.",
            "tessera generate runs/quickstart \"Returns the larger of two numbers. [Math]\"",
            "tessera generate runs/quickstart --beam 5 --check < prompts.txt",
            "tessera generate models/Qwen3-0.6B --chat --max-tokens 200 \"Why is the sky blue?\"",
            "tessera generate runs/quickstart --checkpoint best \"Removes all items.\"",
            "tessera generate runs/quickstart --temperature 0.8 --top-p 0.95 --seed 7 \"Removes all items.\""))
        {
            run, prompts, checkpoint, chat, check, json,
        };
        decoding.AddTo(command);
        command.SetAction(async (parsed, cancellation) =>
        {
            var (options, screen) = (decoding.Read(parsed), new Screen(parsed.GetValue(json)));
            string[] texts = parsed.GetValue(prompts) is { Length: > 0 } given ? given : [.. ReadLines()];
            if (texts.FirstOrDefault(text => text.StartsWith("--", StringComparison.Ordinal)) is { } unknown
                && !Environment.GetCommandLineArgs().Contains("--"))
                throw new ArgumentException(
                    $"'{unknown}' is no option; see 'tessera generate --help', and put texts that begin with -- after a lone --");
            if (texts.Length == 0)
                throw new ArgumentException("there is no text to start from: give it as an argument or on standard input");
            var path = parsed.GetRequiredValue(run);
            var model = LanguageModel.Of(RunModel.Load(path, parsed.GetValue(checkpoint), asStored: true), path);
            if (texts.Length == 1 && options is not BeamOptions && !screen.IsJson && !parsed.GetValue(check))
                await Stream(model, texts[0], options, parsed.GetValue(chat), cancellation);
            else Print(model, texts, options, parsed.GetValue(chat), parsed.GetValue(check), screen, cancellation);
            return CommandRunner.Success;
        });
        return command;
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
            screen.Json(new { prompt = prompts[i], text, tokens = tokens.Ids.Count, tokens.Score, finishReason, valid, error });
            if (screen.IsJson) continue;
            Console.Out.WriteLine(text);
            if (check) Console.Out.WriteLine(error is null ? "  valid C#" : $"  not valid C#: {error}");
        }
    }

    private static IEnumerable<string> ReadLines()
    {
        if (!Console.IsInputRedirected) yield break;
        for (var number = 1; Console.In.ReadLine() is { } line; number++)
        {
            if (string.IsNullOrWhiteSpace(line))
                throw new ArgumentException($"line {number} of standard input is empty; each line is a prompt");
            yield return line;
        }
    }
}
